//! Labels: one name, one colour, one meaning each.

use lazarus::mission::identity::{HostName, RepositoryName};
use lazarus::mission::plan::root::plan_labels;
use lazarus::mission::root_metadata::{RepositoryLabel, RepositoryRef};
use lazarus::mission::status::label::Label;
use lazarus::mission::status::phase::Phase;
use std::collections::BTreeSet;

#[test]
fn every_label_has_a_unique_name_in_a_scope() {
    let names: BTreeSet<_> = Label::ALL.iter().map(Label::name).collect();
    assert_eq!(names.len(), Label::ALL.len());
    for label in Label::ALL {
        assert_eq!(Label::named(&label.name()).as_ref(), Some(&label));
        assert_eq!(label.name().matches('/').count(), 1, "{}", label.name());
        let colour = label.appearance().colour;
        assert!(colour.len() == 6 && colour.chars().all(|c| c.is_ascii_hexdigit()), "{colour}");
    }
}

#[test]
fn only_the_kind_label_is_not_exclusive_in_its_scope() {
    let shared: Vec<_> = Label::ALL.iter().filter(|label| !label.is_exclusive()).map(Label::name).collect();
    assert_eq!(shared, ["kind/mission-proposal"]);
}

#[test]
fn a_label_displaces_what_is_exclusive_in_its_own_scope_and_nothing_else() {
    let active = Label::Phase(Phase::Active);
    for (name, is_displaced) in [
        ("mission/apollo", true),
        ("mission/invalid", true),
        ("mission/", false),
        ("mission", false),
        ("/apollo", false),
        ("mission/apollo/eleven", false),
        ("Mission/apollo", false),
        ("health/at-risk", false),
        ("mission/active", false),
    ] {
        assert_eq!(active.displaces(name, true), is_displaced, "{name}");
        assert!(!active.displaces(name, false), "{name} is not exclusive");
    }
    assert!(!Label::Proposal.displaces("kind/bug", true), "ours is not exclusive there");
    let host = Label::Host(HostName::parse("alpha").unwrap());
    assert!(host.displaces("host/east", true) && !host.displaces("host/alpha", true));
}

#[test]
fn a_description_of_an_earlier_version_is_recognized_and_a_pass_leaves_it() {
    let found: Vec<RepositoryLabel> = (1..)
        .zip(Label::ALL)
        .map(|(id, label)| {
            let appearance = label.appearance();
            assert!(!label.is_outdated(appearance.meaning), "{} is up to date", appearance.name);
            assert!(label.former_meanings().iter().all(|former| label.is_outdated(former)), "{}", appearance.name);
            let description = label.former_meanings().last().copied().unwrap_or(appearance.meaning).to_owned();
            let (name, is_exclusive) = (appearance.name.into_owned(), label.is_exclusive());
            RepositoryLabel { id, name, is_exclusive, description, is_archived: false }
        })
        .collect();
    let name = RepositoryName::parse("owner/missions").unwrap();
    assert_eq!(plan_labels(&RepositoryRef { id: 1, name }, &found, None), []);
    let changed =
        found.iter().filter(|label| label.description != Label::named(&label.name).unwrap().appearance().meaning);
    assert_eq!(changed.count(), 14);
}
