//! What `doctor` finds of the forge itself: address, TLS, kind, version and clock.

use crate::diagnose::doctor::{Clinic, Diagnosis};
use crate::support::stub::{self, Certificate, Stub};
use chrono::Utc;
use lazarus::sandbox::Fault;
use serde_json::json;

#[tokio::test]
async fn doctor_finds_each_reason_for_an_unreachable_forge() {
    let clinic = Clinic::on_the_sandbox().await;
    clinic.at("http://no-such-host.invalid").await.fails_by("forge-unresolved");
    clinic.at("http://127.0.0.1:1").await.fails_by("forge-refused");
    let forge = clinic.repository.forge.clone();
    clinic.at(&format!("{}/elsewhere", forge.url)).await.fails_by("forge-not-gitea");
    forge.engine().break_next(1, "GET", "/version", Fault::Html);
    clinic.now().await.fails_by("forge-not-gitea");
    forge.engine().break_next(1, "GET", "/version", Fault::Refuse(502));
    clinic.now().await.fails_by("forge-unavailable");
    forge.engine().break_next(1, "GET", "/issue_templates", Fault::Refuse(403));
    clinic.now().await.fails_by("request-refused");
    forge.engine().break_next(1, "GET", "/version", Fault::HangUp);
    clinic.now().await.fails_by("forge-unreachable");
    let nothing = Diagnosis::of(clinic.command(json!({})).env("LAZARUS_GITEA_URL", "")).await;
    nothing.fails_by("forge-not-set");
    let no_repositories = Diagnosis::of(clinic.command(json!({})).env("LAZARUS_REPOSITORIES", "")).await;
    no_repositories.fails_by("repositories-not-set");
}

#[tokio::test]
async fn a_version_that_cannot_be_read_is_unknown_and_not_old() {
    let clinic = Clinic::on_the_sandbox().await;
    let calls_itself = async |version: &str| {
        clinic.repository.forge.engine().call_itself(version);
        clinic.now().await
    };
    for unknown in ["development", "main-nightly", "", "3f2a91c", "1234567", "v", "latest.1", "1.x", "+gitea-main"] {
        let reported = calls_itself(unknown).await;
        reported.warns_of("forge-version-unknown");
        assert!(!reported.found("version").contains("older"), "{reported:#?}");
    }
    for old in ["1.21.11", "v1.9", "7.0.0+gitea-1.21.4", "1.21.0+rc0-3-gabc"] {
        calls_itself(old).await.fails_by("forge-too-old");
    }
    for good in ["1.22", "v1.23", "1.26.0+dev-12-gabc", "1.22.0-rc1", "11.0.1+gitea-1.22.0", "2.0.0"] {
        let reported = calls_itself(good).await;
        reported.finds(&[]);
        assert_eq!(reported.found("version"), good);
    }
}

#[tokio::test]
async fn doctor_times_out_on_a_silent_forge() {
    let clinic = Clinic::on_the_sandbox().await;
    clinic.at(&format!("http://127.0.0.1:{}", Stub::silent().port)).await.fails_by("forge-silent");
}

#[tokio::test]
async fn doctor_finds_each_fault_of_tls() {
    let clinic = Clinic::on_the_sandbox().await;
    let version = || stub::json(&Utc::now().to_rfc2822().replace("+0000", "GMT"), "{\"version\":\"1.26.0\"}");
    let ca_file = clinic.host.path().join("ca.pem");
    let diagnose = async |stub: &Stub, trusted: bool| {
        std::fs::write(&ca_file, &stub.ca).unwrap();
        let settings = if trusted { json!({ "forge": { "ca_file": ca_file } }) } else { json!({}) };
        clinic.at_with(&format!("https://localhost:{}", stub.port), settings).await
    };
    let good = Stub::behind(Certificate::Good, version());
    diagnose(&good, false).await.fails_by("tls-ca-unknown");
    let trusted = diagnose(&good, true).await;
    assert!(trusted.found("tls").starts_with("the certificate is valid; the CAs of `"), "{trusted:#?}");
    diagnose(&Stub::behind(Certificate::Expired, version()), true).await.fails_by("tls-expired");
    diagnose(&Stub::behind(Certificate::OfAnotherName, version()), true).await.fails_by("tls-wrong-name");
    diagnose(&Stub::behind(Certificate::OwnCa, version()), true).await.fails_by("tls-failed");
    clinic.at(&format!("http://localhost:{}", good.port)).await.fails_by("http-not-spoken");
    let plain = clinic.repository.forge.url.replace("http:", "https:");
    clinic.at(&plain).await.fails_by("tls-not-spoken");
    std::fs::write(&ca_file, "no certificate").unwrap();
    clinic.with(json!({ "forge": { "ca_file": ca_file } })).await.fails_by("tls-ca-file");
}

#[tokio::test]
async fn doctor_reports_a_clock_offset() {
    let clinic = Clinic::on_the_sandbox().await;
    for (seconds, outcome) in [(60, "warning"), (-60, "warning"), (600, "warning"), (-600, "warning")] {
        let date = (Utc::now() - chrono::TimeDelta::seconds(seconds)).to_rfc2822().replace("+0000", "GMT");
        let stub = Stub::telling(stub::json(&date, "{\"version\":\"1.26.0\"}"));
        let reported = clinic.at(&format!("http://127.0.0.1:{}", stub.port)).await;
        assert!(reported.faults().contains(&("clock-off", outcome)), "{seconds}: {reported:#?}");
        let words = if seconds > 0 { "s ahead of Gitea's" } else { "s behind Gitea's" };
        assert!(reported.found("clock").ends_with(words), "{reported:#?}");
    }
}
