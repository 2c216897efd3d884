//! What is drawn is drawn in one place, and what has to be secret cannot be guessed from what is not.

use lazarus::world::random;
use std::collections::HashSet;

#[test]
fn a_secret_has_64_hex_digits_and_is_never_repeated() {
    let secrets: HashSet<String> = (0..1_000).map(|_| random::secret()).collect();
    assert_eq!(secrets.len(), 1_000);
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    assert!(secrets.iter().all(|secret| secret.len() == 64 && secret.bytes().all(is_digit)));
}

#[test]
fn a_known_jitter_seed_predicts_no_id_and_no_secret() {
    let drawn = || {
        fastrand::seed(7);
        let jitter = (random::number(0..=i64::MAX), random::fraction().to_bits());
        (jitter, random::id(), random::secret())
    };
    let ((jitter, id, secret), (again, other_id, other_secret)) = (drawn(), drawn());
    assert_eq!(jitter, again, "the jitter comes from the seed");
    assert!(id != other_id && secret != other_secret, "ids and secrets do not");
    assert_eq!((id.get_version_num(), other_id.get_version_num()), (4, 4));
}

#[test]
fn jitter_stays_within_its_range() {
    for _ in 0..1_000 {
        assert!((2..=5).contains(&random::number(2..=5)));
        assert!((0.0..1.0).contains(&random::fraction()));
    }
}
