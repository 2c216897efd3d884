//! A real Gitea, started for the tests from a binary that is on this machine.

use crate::support::forge::ACCOUNTS;
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a first start with all its migrations may take.
const START_MAX: Duration = Duration::from_secs(90);

/// How often it is asked whether it is there yet.
const POLL: Duration = Duration::from_millis(50);

/// A running Gitea with an empty database and the accounts of the stories. Stops when dropped.
pub(crate) struct RealGitea {
    pub(crate) url: String,
    pub(crate) tokens: BTreeMap<&'static str, String>,
    binary: PathBuf,
    directory: TempDir,
    process: Child,
}

/// The one that the stories of this run share while any of them runs.
static SHARED: Mutex<Weak<RealGitea>> = Mutex::new(Weak::new());

impl RealGitea {
    /// The one that is running, or a new one; none where the environment names no binary.
    pub(crate) async fn running() -> Option<Arc<Self>> {
        let binary = PathBuf::from(std::env::var_os("LAZARUS_TEST_GITEA")?);
        let started = tokio::task::spawn_blocking(move || {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            shared.upgrade().unwrap_or_else(|| {
                let gitea = Arc::new(Self::start(&binary));
                *shared = Arc::downgrade(&gitea);
                gitea
            })
        });
        Some(started.await.unwrap())
    }

    fn start(binary: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        std::fs::write(directory.path().join("app.ini"), settings(directory.path(), address.port())).unwrap();
        let log = std::fs::File::create(directory.path().join("web.log")).unwrap();
        run(binary, directory.path(), &["migrate"]);
        let process = command(binary, directory.path()).arg("web").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let (url, binary) = (format!("http://{address}"), binary.to_owned());
        let mut gitea = Self { url, tokens: BTreeMap::new(), binary, directory, process };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            let log = std::fs::read_to_string(gitea.directory.path().join("web.log")).unwrap();
            assert!(started.elapsed() < START_MAX, "Gitea did not start: {log}");
            std::thread::sleep(POLL);
        }
        gitea.tokens = ACCOUNTS.map(|(login, scopes)| (login, gitea.account(login, scopes))).into_iter().collect();
        gitea.tokens.insert("operator", gitea.account_with("operator", &["all"], &["--admin"]));
        gitea
    }

    pub(crate) fn password(login: &str) -> String {
        format!("{login}-password")
    }

    pub(crate) fn account(&self, login: &str, scopes: &[&str]) -> String {
        self.account_with(login, scopes, &[])
    }

    fn account_with(&self, login: &str, scopes: &[&str], more: &[&str]) -> String {
        // A former login keeps its address.
        let (mail, password) = (format!("{:x}@x.test", fastrand::u64(..)), Self::password(login));
        let mut arguments = vec!["admin", "user", "create", "--username", login, "--password", &password];
        arguments.extend(["--email", &mail, "--must-change-password=false"]);
        arguments.extend(more);
        run(&self.binary, self.directory.path(), &arguments);
        self.token(login, scopes)
    }

    pub(crate) fn token(&self, login: &str, scopes: &[&str]) -> String {
        let (name, scopes) = (format!("t{}", fastrand::u64(..)), scopes.join(","));
        let mut arguments = vec!["admin", "user", "generate-access-token", "-u", login, "-t", &name];
        arguments.extend(["--scopes", &scopes, "--raw"]);
        let printed = run(&self.binary, self.directory.path(), &arguments);
        // Run as root, it prints a warning first; on a busy host it warns of slow queries at any time.
        let is_token = |line: &&str| line.len() == 40 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
        printed.lines().map(str::trim).find(is_token).unwrap_or_else(|| panic!("no token: {printed}")).to_owned()
    }
}

impl Drop for RealGitea {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(binary: &Path, directory: &Path) -> Command {
    let mut command = Command::new(binary);
    command.arg("-c").arg(directory.join("app.ini")).env("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT", "true");
    command
}

fn run(binary: &Path, directory: &Path, arguments: &[&str]) -> String {
    let output = command(binary, directory).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn settings(directory: &Path, port: u16) -> String {
    let directory = directory.display();
    format!(
        "RUN_MODE = prod\nWORK_PATH = {directory}\n\
         [server]\nHTTP_ADDR = 127.0.0.1\nHTTP_PORT = {port}\nROOT_URL = http://127.0.0.1:{port}/\n\
         DISABLE_SSH = true\nOFFLINE_MODE = true\n\
         [database]\nDB_TYPE = sqlite3\nPATH = {directory}/gitea.db\nSQLITE_JOURNAL_MODE = WAL\nSQLITE_TIMEOUT = 5000\n\
         [repository]\nROOT = {directory}/repos\n\
         [security]\nINSTALL_LOCK = true\nSECRET_KEY = test-only\n\
         [service]\nDISABLE_REGISTRATION = true\n\
         [mailer]\nENABLED = false\n\
         [webhook]\nALLOWED_HOST_LIST = loopback\n\
         [indexer]\nISSUE_INDEXER_TYPE = db\n\
         [cron.update_checker]\nENABLED = false\n\
         [log]\nMODE = console\nLEVEL = Warn\n"
    )
}
