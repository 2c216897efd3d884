//! The service: the real binary with its listeners, stopped, killed, under a service manager, and twice on one root.

use crate::support::forge::{Forge, client};
use crate::support::host::{Host, run};
use crate::support::missions::body;
use crate::support::service::{SECRET, command, start};
use crate::support::soon;
use lazarus::sandbox::Fault;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

#[tokio::test]
async fn webhooks_and_heartbeats_take_effect_without_a_tick() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let id = repository.id;
    let service = start(command(&host, Some(&repository), json!({}))).await;
    service.passed(1).await;
    let number = repository.file("reader", "Mission: raise the dead", &[]).await;
    assert_eq!(service.hook(id, number).await, 202);
    soon("filed", async || repository.labels(number).await.len() == 3).await;
    let cell = host.cell();
    let name = cell.file_name().unwrap().to_str().unwrap();
    let token = std::fs::read_to_string(cell.join("config/heartbeat.token")).unwrap();
    let beat = client().post(format!("{}/missions/{name}/heartbeat", service.doors));
    let response = beat.bearer_auth(token.trim()).body(r#"{"state":"waiting"}"#).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 204);
    let healthy = ["health/healthy", "kind/mission-proposal", "mission/active", "wizard/waiting"];
    soon("healthy", async || repository.labels(number).await == healthy).await;
    soon("on the dashboard", async || service.get("/").await.1.contains("raise the dead")).await;
    let cron: Value =
        serde_json::from_slice(&std::fs::read(host.path().join("lazarus-reconcile.last")).unwrap()).unwrap();
    assert_eq!((&cron["job"], &cron["status"]), (&json!("lazarus-reconcile"), &json!("ok")));
    assert_eq!(service.end(Signal::TERM).await.0.code(), Some(0));
}

mod on_a_real_gitea {
    use super::*;

    /// With the webhook from docs/install.md, and an hour between two ticks.
    #[tokio::test]
    #[cfg_attr(not(live_gitea), ignore = "LAZARUS_TEST_GITEA names no Gitea")]
    async fn the_webhook_of_the_installation_guide_is_sufficient() {
        let forge = Forge::real().await.expect("LAZARUS_TEST_GITEA named one when this was built");
        let (repository, host) = (forge.repository().await, Host::new());
        let service = start(command(&host, Some(&repository), json!({}))).await;
        service.passed(1).await;
        let target = json!({ "url": format!("{}/webhook", service.doors), "content_type": "json", "secret": SECRET });
        let events = ["issues", "issue_label"];
        let hook = json!({ "type": "gitea", "active": true, "events": events, "config": target });
        forge.change(Method::POST, &format!("{}/hooks", repository.path()), hook).await;
        let number = repository.file("reader", "Mission: raise the dead", &[]).await;
        soon("filed", async || repository.labels(number).await.len() == 3).await;
        repository.edit("reader", number, |_| body(&[("Wizard", "the grey one")])).await;
        soon("edited", async || repository.comment(number).await.contains("Edit not applied")).await;
        let stray = repository.label_ids(&["health/stale"]).await;
        let labels = format!("{}/labels", repository.issue_path(number));
        forge.change(Method::POST, &labels, json!({ "labels": stray })).await;
        soon("label removed", async || !repository.labels(number).await.contains(&"health/stale".to_owned())).await;
        service.end(Signal::TERM).await;
    }
}

#[tokio::test]
async fn the_daemon_stops_on_a_signal_even_while_the_forge_hangs() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    forge.engine().break_next(usize::MAX, "GET", "issues", Fault::Delay(Duration::from_secs(60)));
    let service = start(command(&host, Some(&repository), json!({}))).await;
    soon("requested", async || forge.engine().log().iter().any(|request| request.target.contains("issues"))).await;
    let (status, took) = service.end(Signal::TERM).await;
    assert!(status.code() == Some(0) && took < Duration::from_secs(5), "{status} after {took:?}");
}

#[tokio::test]
async fn a_second_daemon_is_refused_and_a_killed_one_can_restart() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    repository.file("reader", "Mission: x", &[]).await;
    let service = start(command(&host, Some(&repository), json!({}))).await;
    service.passed(1).await;
    let pid = service.pid();
    let started = Instant::now();
    for mut second in [command(&host, Some(&repository), json!({})), host.reconciler(&repository)] {
        let refused = run(second.arg("--once").arg("--exit-code")).await;
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains(&format!("pid {pid}")), "{refused:?}");
    }
    let refused = run(&mut command(&host, Some(&repository), json!({}))).await;
    assert!(refused.code == 2 && refused.stderr.contains(&pid.to_string()), "{refused:?}");
    assert!(started.elapsed() < Duration::from_secs(30), "no command waits for a daemon");
    assert_eq!(run(host.command("lazarus-reconcile").arg("scan")).await.code, 0, "a scan needs no lock");
    service.end(Signal::KILL).await;
    let again = start(command(&host, Some(&repository), json!({}))).await;
    let health = again.passed(1).await;
    assert_eq!((&health["ready"], &health["summary"]["uninitialized"]), (&json!(true), &json!(1)));
    again.end(Signal::INT).await;
}

/// With the protocol of systemd for services of `Type=notify`.
#[tokio::test]
async fn a_service_manager_is_notified_of_readiness_life_and_stop() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let path = host.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut command = command(&host, Some(&repository), json!({}));
    forge.engine().break_next(1, "GET", "issues", Fault::Refuse(500));
    let service = start({
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "60000000");
        command
    })
    .await;
    let receive = |socket: &UnixDatagram| {
        let mut message = [0; 4096];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let notifications = tokio::task::spawn_blocking(move || {
        let mut received = String::new();
        while !received.contains("WATCHDOG=1") {
            received.push_str(&receive(&socket));
        }
        (socket, received)
    });
    let (socket, received) = notifications.await.unwrap();
    assert!(received.contains("READY=1"), "{received}");
    assert!(received.contains("WATCHDOG_USEC="), "an interval of an hour needs a longer timeout: {received}");
    assert!(received.contains("the last pass was"), "the watchdog does not fire for a forge that fails: {received}");
    service.end(Signal::TERM).await;
    assert!(receive(&socket).contains("STOPPING=1"));
}

#[tokio::test]
async fn a_daemon_uses_two_heaps_unless_malloc_arena_max_is_set() {
    for (given, kept) in [(None, "2"), (Some("7"), "7")] {
        let forge = Forge::sandbox().await;
        let (repository, host) = (forge.repository().await, Host::new());
        let mut command = command(&host, Some(&repository), json!({}));
        command.envs(given.map(|given| ("MALLOC_ARENA_MAX", given)));
        let service = start(command).await;
        service.passed(1).await;
        let environment = std::fs::read_to_string(format!("/proc/{}/environ", service.pid())).unwrap();
        let named = environment.split('\0').filter_map(|pair| pair.strip_prefix("MALLOC_ARENA_MAX="));
        assert_eq!(named.collect::<Vec<_>>(), [kept]);
        let name = std::fs::read_to_string(format!("/proc/{}/comm", service.pid())).unwrap();
        assert_eq!(name, "lazarus-reconci\n", "it goes by its own name");
        assert_eq!(service.end(Signal::TERM).await.0.code(), Some(0));
    }
}
