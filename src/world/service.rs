//! Asks the service manager for the state of a unit.

use crate::world::clock;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The timeout of the service manager.
const ASK_MAX: Duration = Duration::from_secs(5);

/// The state of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// Unknown, and why.
    Unknown(String),
    /// There is no such unit.
    NotInstalled,
    /// The unit exists.
    Known {
        /// `active`, `inactive`, `failed`, `activating`, …
        state: String,
        /// `success`, `exit-code`, `watchdog`, …
        result: String,
        /// The number of automatic restarts.
        restarts: String,
    },
}

/// Asks for the state of a unit. Changes nothing.
pub async fn state(unit: &str) -> Service {
    let mut command = Command::new("systemctl");
    command.args(["show", unit, "--property=LoadState,ActiveState,Result,NRestarts"]).stdin(Stdio::null());
    let asked = clock::timeout(ASK_MAX, command.kill_on_drop(true).output()).await;
    let output = match asked {
        Ok(Ok(output)) if output.status.success() => output,
        Ok(Ok(_)) => return Service::Unknown("the service manager does not answer".to_owned()),
        Ok(Err(_)) => return Service::Unknown("there is no service manager here".to_owned()),
        Err(_) => return Service::Unknown("the service manager does not answer in time".to_owned()),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| *name == key).map_or_else(String::new, |(_, value)| value.to_owned())
    };
    if value("LoadState") != "loaded" {
        return Service::NotInstalled;
    }
    Service::Known { state: value("ActiveState"), result: value("Result"), restarts: value("NRestarts") }
}
