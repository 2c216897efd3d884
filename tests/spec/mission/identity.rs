//! Names and ids are parsed at the door.

use lazarus::mission::alert::config::Login;
use lazarus::mission::identity::{
    CommitId, ForgeUrl, GitRef, HostName, MissionId, RepositoryName, RepositoryPattern, WizardName,
};
use lazarus::mission::time::{format_length, parse_length};
use std::time::Duration;

#[test]
fn the_id_of_a_mission_is_that_of_the_test_vector() {
    let forge = ForgeUrl::parse("https://git.example.com").unwrap();
    let id = MissionId::of_issue(&forge, 7, 42);
    assert_eq!(id.to_string(), "52985a61-b87c-52fd-9ad8-9a45c2899dd4");
}

#[test]
fn forge_addresses_are_normalized() {
    let (default_port, api) = ("https://git.example.com:443/", "https://git.example.com/api/v1/");
    for same in ["HTTPS://Git.Example.com", default_port, "https://git.example.com//", api] {
        assert_eq!(ForgeUrl::parse(same).unwrap().to_string(), "https://git.example.com", "{same}");
    }
    let below = ForgeUrl::parse("http://host:3000/gitea/").unwrap();
    assert_eq!(below.to_string(), "http://host:3000/gitea");
    for wrong in ["", "git.example.com", "ssh://git.example.com", "https://u:p@h", "https://h?x=1", "https://h#x"] {
        assert!(ForgeUrl::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_mission_id_has_one_spelling_and_is_never_nil() {
    let lower = "123e4567-e89b-12d3-a456-426614174000";
    assert_eq!(MissionId::parse(&lower.to_uppercase()).unwrap().to_string(), lower);
    for wrong in [
        "00000000-0000-0000-0000-000000000000",
        "{123e4567-e89b-12d3-a456-426614174000}",
        "urn:uuid:123e4567-e89b-12d3-a456-426614174000",
        "123e4567e89b12d3a456426614174000",
        "../../etc/cron.d/x",
        "１23e4567-e89b-12d3-a456-426614174000",
        " 123e4567-e89b-12d3-a456-426614174000",
        "",
    ] {
        assert!(MissionId::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn names_that_could_be_paths_or_options_are_refused() {
    for wrong in ["a", "a/b/c", "/a", "a/", "../a", "a/..", "./a", "a b/c", "a/b\n", "ä/b"] {
        assert!(RepositoryName::parse(wrong).is_err(), "{wrong}");
    }
    for wrong in ["-x", "+x", "--upload-pack=x", "a..b", "a@{1}", "a//b", "a/", "a.lock", "a b", "a:b", "", "@"] {
        assert!(GitRef::parse(wrong).is_err(), "{wrong}");
    }
    for right in
        ["main", "feature/x", "v1.2.3", "4f2a91c", "v1.28.2+k3s1", "feature/#42-raise", "effect@4.0.0-beta.65", "é"]
    {
        assert_eq!(GitRef::parse(right).unwrap().to_string(), right);
    }
    for wrong in ["", ".a", "-a", "a b", "a/b", &"a".repeat(65)] {
        assert!(HostName::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn each_name_has_a_maximum_length() {
    let taken = |parse: &dyn Fn(&str) -> bool, most: usize| [most, most + 1].map(|length| parse(&"a".repeat(length)));
    assert_eq!(taken(&|text| HostName::parse(text).is_ok(), 64), [true, false]);
    assert_eq!(taken(&|text| WizardName::parse(text).is_ok(), 64), [true, false]);
    assert_eq!(taken(&|text| GitRef::parse(text).is_ok(), 201), [true, false]);
    assert_eq!(taken(&|text| RepositoryName::parse(&format!("{text}/x")).is_ok(), 100), [true, false]);
    assert_eq!(taken(&|text| RepositoryName::parse(&format!("x/{text}")).is_ok(), 100), [true, false]);
    assert_eq!(taken(&|text| RepositoryPattern::parse(&format!("{text}/*")).is_ok(), 100), [true, false]);
    assert_eq!(taken(&|text| Login::parse(text).is_ok(), 40), [true, false]);
}

#[test]
fn a_pattern_allows_one_repository_or_those_of_one_owner() {
    let spellbook = RepositoryName::parse("Wizards/Spellbook").unwrap();
    for (pattern, allows) in
        [("wizards/spellbook", true), ("wizards/*", true), ("wizards/other", false), ("x/*", false)]
    {
        assert_eq!(RepositoryPattern::parse(pattern).unwrap().allows(&spellbook), allows, "{pattern}");
    }
    for wrong in ["*", "*/x", "wizards", "wizards/**"] {
        assert!(RepositoryPattern::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn durations_are_parsed_as_they_are_formatted() {
    for text in ["1 minute", "5 minutes", "15 minutes", "1 hour", "6 hours", "1 day"] {
        assert_eq!(format_length(parse_length(text).unwrap()), text);
    }
    assert_eq!(format_length(Duration::from_secs(90)), "90 seconds");
    assert_eq!(parse_length("soon"), None);
}

#[test]
fn a_commit_id_must_be_complete() {
    let whole = "0123456789".repeat(4);
    for text in [whole.as_str(), &"a".repeat(64)] {
        let commit = CommitId::parse(text).unwrap();
        assert_eq!(serde_json::to_string(&commit).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<CommitId>(&format!("\"{text}\"")).unwrap(), commit);
    }
    for text in [
        "",
        "HEAD",
        &whole[1..],
        &format!("{whole}0"),
        &whole.replace('0', "A"),
        &whole.replace('0', "g"),
        &format!(" {}", &whole[1..]),
    ] {
        assert!(CommitId::parse(text).is_err(), "{text}");
    }
}
