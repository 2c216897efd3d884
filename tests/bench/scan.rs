//! A scan of many cells, as a process and in a running daemon.

use crate::support::host::Host;
use crate::{Scale, bare, format_seconds, median, peer, timed};
use lazarus::world::cells::cell_cache::CellCache;
use lazarus::world::store::root::Root;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Instant;

/// *Stale after* of both scans, in seconds; longer than the benchmark takes.
const STALE_AFTER: &str = "1800";

/// The counts that both must report.
type Counts = BTreeMap<String, u64>;

pub(crate) async fn measure(scale: Scale) {
    let host = Host::on_disk();
    let mut make = peer("lazarus_pit.py");
    make.arg("--root").arg(host.root()).args(["--make", &scale.cells.to_string()]);
    timed(make).await;
    let configuration = format!("{{ \"health\": {{ \"stale_after_seconds\": {STALE_AFTER} }} }}");
    std::fs::write(host.path().join("bench.json"), configuration).unwrap();
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
    // A warm-up run of each, which also shows that both report the same counts.
    let (_, report) = timed(ours()).await;
    assert_eq!(counts(&report, "summary"), counts(&timed(python()).await.1, "counts"));
    timed(bare()).await;
    let mut cache = CellCache::new(Arc::new(Root::open(&host.root()).unwrap()));
    // A scan reads recently changed cells again; by the second scan all changes are old enough.
    cache.sweep([]).unwrap();
    let (mut times, mut slower, mut above) = ([const { Vec::new() }; 4], [Vec::new(), Vec::new()], Vec::new());
    for _ in 0..scale.runs {
        let [ours, python, bare] =
            [timed(ours()).await, timed(python()).await, timed(bare()).await].map(|(time, _)| time.as_secs_f64());
        let started = Instant::now();
        let changed = cache.sweep([]).unwrap().len();
        let cached = started.elapsed().as_secs_f64();
        assert_eq!(changed, 0, "no cell has changed");
        for (times, time) in times.iter_mut().zip([ours, python, bare, cached]) {
            times.push(time);
        }
        slower[0].push(python / ours);
        slower[1].push(python / cached);
        above.push(ours / bare);
    }
    detect_deleted_files(&host, &mut cache);
    let [ours, python, bare, cached] = times.map(median).map(format_seconds);
    let [slower, slower_than_cached] = slower.map(median);
    println!("| scan of {} cells | time | relative |\n|---|---|---|", scale.cells);
    println!("| `lazarus-reconcile scan --json` | {ours} | 1 |");
    println!("| the Python peer | {python} | {slower:.1} × |");
    println!(
        "| the same checks in bare system calls, without parsing or printing | {bare} | {:.2} × |\n",
        1.0 / median(above)
    );
    println!("| a daemon's scan of {} unchanged cells | time | relative |\n|---|---|---|", scale.cells);
    println!("| the daemon | {cached} | 1 |");
    println!("| the Python peer, which reads everything | {python} | {slower_than_cached:.1} × |\n");
}

/// A scan from the cache must still find every deleted file.
fn detect_deleted_files(host: &Host, cache: &mut CellCache) {
    let cells = host.cells();
    let files = ["meta/mission.json", "config/cell.json", "state/heartbeat.json", "logs/daemon.log"];
    for (cell, file) in cells.iter().step_by(7).zip(files) {
        std::fs::remove_file(cell.join(file)).unwrap();
    }
    let changed = cache.sweep([]).unwrap();
    assert_eq!(changed.len(), files.len().min(cells.len().div_ceil(7)), "a file deleted in any directory is found");
}

fn counts(output: &Output, key: &str) -> Counts {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts: Counts = serde_json::from_value(report[key].clone()).unwrap();
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}
