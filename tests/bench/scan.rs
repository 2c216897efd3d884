//! A scan of many cells, as a whole process.

use crate::support::host::Host;
use crate::{Scale, bare, median, peer, spoken, timed};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Output};

/// The limit that both scans judge by; longer than the benchmark takes.
const STALE_AFTER: &str = "1800";

/// The counts that both must agree on.
type Counts = BTreeMap<String, u64>;

pub(crate) async fn measure(scale: Scale) {
    let host = Host::new();
    let mut make = peer("lazarus_pit.py");
    make.arg("--root").arg(host.root()).args(["--make", &scale.cells.to_string()]);
    timed(make).await;
    let settings = format!("{{ \"health\": {{ \"stale_after_seconds\": {STALE_AFTER} }} }}");
    std::fs::write(host.path().join("bench.json"), settings).unwrap();
    let ours = || {
        let mut command = host.command("lazarus-reconcile");
        command.args(["scan", "--json", "--config", "bench.json"]);
        command
    };
    let python = || {
        let mut command = peer("lazarus_pit.py");
        command.arg("--root").arg(host.root()).args(["--json", "--stale-after", STALE_AFTER]);
        command
    };
    let bare = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(bare::FLAG).arg(host.root());
        command
    };
    // One run of each that does not count, which warms the cache and shows that both see the same.
    let (_, seen) = timed(ours()).await;
    assert_eq!(counts(&seen, "summary"), counts(&timed(python()).await.1, "counts"));
    timed(bare()).await;
    let (mut times, mut slower, mut above) = ([const { Vec::new() }; 3], Vec::new(), Vec::new());
    for _ in 0..scale.runs {
        let [ours, python, bare] =
            [timed(ours()).await, timed(python()).await, timed(bare()).await].map(|(time, _)| time.as_secs_f64());
        for (times, time) in times.iter_mut().zip([ours, python, bare]) {
            times.push(time);
        }
        slower.push(python / ours);
        above.push(ours / bare);
    }
    let [ours, python, bare] = times.map(median).map(spoken);
    println!("| scan of {} cells | time | beside ours |\n|---|---|---|", scale.cells);
    println!("| `lazarus-reconcile scan --json` | {ours} | 1 |");
    println!("| the Python peer | {python} | {:.1} × |", median(slower));
    println!(
        "| the same checks in bare system calls, nothing parsed or printed | {bare} | {:.2} × |\n",
        1.0 / median(above)
    );
}

fn counts(output: &Output, key: &str) -> Counts {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts: Counts = serde_json::from_value(report[key].clone()).unwrap();
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}
