//! A scan of many cells, as a whole process.

use crate::support::host::Host;
use crate::{Scale, bare, median, peer, spoken, timed};
use lazarus::world::cells::cell_cache::CellCache;
use lazarus::world::store::root::Root;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Instant;

/// The limit that both scans judge by; longer than the benchmark takes.
const STALE_AFTER: &str = "1800";

/// The counts that both must agree on.
type Counts = BTreeMap<String, u64>;

pub(crate) async fn measure(scale: Scale) {
    let host = Host::on_disk();
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
    let mut watch = CellCache::new(Arc::new(Root::open(&host.root()).unwrap()));
    // What moved just now is read again; by the second sweep all of it is long enough ago.
    watch.sweep([]).unwrap();
    let (mut times, mut slower, mut above) = ([const { Vec::new() }; 4], [Vec::new(), Vec::new()], Vec::new());
    for _ in 0..scale.runs {
        let [ours, python, bare] =
            [timed(ours()).await, timed(python()).await, timed(bare()).await].map(|(time, _)| time.as_secs_f64());
        let started = Instant::now();
        let moved = watch.sweep([]).unwrap().len();
        let sweep = started.elapsed().as_secs_f64();
        assert_eq!(moved, 0, "nothing has moved");
        for (times, time) in times.iter_mut().zip([ours, python, bare, sweep]) {
            times.push(time);
        }
        slower[0].push(python / ours);
        slower[1].push(python / sweep);
        above.push(ours / bare);
    }
    find_what_is_deleted(&host, &mut watch);
    let [ours, python, bare, sweep] = times.map(median).map(spoken);
    let [slower, slower_still] = slower.map(median);
    println!("| scan of {} cells | time | beside ours |\n|---|---|---|", scale.cells);
    println!("| `lazarus-reconcile scan --json` | {ours} | 1 |");
    println!("| the Python peer | {python} | {slower:.1} × |");
    println!(
        "| the same checks in bare system calls, nothing parsed or printed | {bare} | {:.2} × |\n",
        1.0 / median(above)
    );
    println!("| a daemon's sweep over {} cells in which nothing moved | time | |\n|---|---|---|", scale.cells);
    println!(
        "| the sweep | {sweep} | 1 |\n| the Python peer, which begins anew each time | {python} | {slower_still:.1} × |\n"
    );
}

/// A sweep that reads next to nothing has to miss nothing either.
fn find_what_is_deleted(host: &Host, watch: &mut CellCache) {
    let cells = host.cells();
    let files = ["meta/mission.json", "config/cell.json", "state/heartbeat.json", "logs/daemon.log"];
    for (cell, file) in cells.iter().step_by(7).zip(files) {
        std::fs::remove_file(cell.join(file)).unwrap();
    }
    let moved = watch.sweep([]).unwrap();
    assert_eq!(moved.len(), files.len().min(cells.len().div_ceil(7)), "a file deleted in any directory is found");
}

fn counts(output: &Output, key: &str) -> Counts {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts: Counts = serde_json::from_value(report[key].clone()).unwrap();
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}
