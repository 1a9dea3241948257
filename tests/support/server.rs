//! `sendpromptly serve` in a process of its own, which never outlives the test.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::binary::binary;
use crate::http::{Answer, Request};
use crate::store::TestStore;
use crate::tls::{Identity, TlsClient};
use crate::wait::within;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(30);

/// Options of `serve`, each given once.
#[derive(Debug, Clone)]
pub struct Options {
    arguments: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
}

impl Options {
    /// Those that most tests run with: a free port, callbacks to loopback, quick workers, no rate limit.
    #[must_use]
    pub fn quick() -> Self {
        let none = Self {
            arguments: Vec::new(),
            environment: Vec::new(),
            wrapper: ["setpriv", "--pdeathsig", "KILL", "--"]
                .map(str::to_owned)
                .to_vec(),
        };
        none.set("--listen", "127.0.0.1:0")
            .set("--allow-private-callbacks", "true")
            .set("--retry-schedule", "0s,100ms,100ms")
            .set("--sweep-interval", "100ms")
            .set("--rate-limit", "0")
    }

    /// The same with this option set.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.arguments.retain(|(known, _)| known != name);
        self.arguments.push((name.to_owned(), value.into()));
        self
    }

    /// The same with this environment variable set.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same under another program, which takes the server's command line as its last arguments and
    /// becomes the server, as `env` or `setpriv` do.
    #[must_use]
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper.extend(wrapper.iter().map(|word| (*word).to_owned()));
        self
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts a server on this store and waits until it is ready.
    pub async fn start(store: &TestStore, options: &Options) -> Self {
        Self::start_as(store, options, &store.data_dir()).await
    }

    /// The same with a data directory of its own, as a second node has.
    pub async fn start_as(store: &TestStore, options: &Options, data_dir: &std::path::Path) -> Self {
        let server = Self::launch(store, options, data_dir).await;
        within(START, "the server is ready", async || {
            let ready = Request::new("GET", "/readyz").try_send(server.address).await?;
            (ready.status == 200).then_some(())
        })
        .await;
        server
    }

    /// The same for a server that speaks HTTPS, with this certificate and key.
    pub async fn start_https(
        store: &TestStore,
        options: &Options,
        identity: &Identity,
        client: &TlsClient,
    ) -> Self {
        let options = options
            .clone()
            .set("--tls-cert", identity.certificate.to_str().unwrap())
            .set("--tls-key", identity.key.to_str().unwrap());
        let server = Self::launch(store, &options, &store.data_dir()).await;
        within(START, "the server is ready", async || {
            let ready = Request::new("GET", "/readyz");
            let ready = client.try_send(server.address, &ready).await?;
            (ready.status == 200).then_some(())
        })
        .await;
        server
    }

    /// Starts it and waits until it says where it listens.
    async fn launch(store: &TestStore, options: &Options, data_dir: &std::path::Path) -> Self {
        let log = store
            .directory()
            .join(format!("serve-{:08x}.log", fastrand::u32(..)));
        let mut child = Command::new(&options.wrapper[0])
            .args(&options.wrapper[1..])
            .arg(binary())
            .arg("serve")
            .arg("--data-dir")
            .arg(data_dir)
            .arg("--database-url")
            .arg(store.url())
            .args(options.arguments.iter().flat_map(|(name, value)| [name, value]))
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(options.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(store.directory())
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(File::create(log.with_extension("out")).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let address = within(START, "the server says where it listens", async || {
            let said = fs::read_to_string(&log).unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}: {said}");
            }
            listening_at(&said)
        })
        .await;
        Self { child, log, address }
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// What it has written to standard output so far.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(self.log.with_extension("out")).unwrap()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a running server")
    }

    /// `GET` of a path.
    pub async fn get(&self, path: &str) -> Answer {
        Request::new("GET", path).send(self.address).await
    }

    /// Asks it to stop, as an operator does; gives its exit status and how long it took.
    pub async fn stop(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        self.signal("TERM").await;
        (self.ended().await, start.elapsed())
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(START, self.child.wait()).await;
        ended.expect("the server ends").unwrap()
    }

    /// Sends it a signal.
    pub async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
    }

    /// Ends it with SIGKILL, in the middle of whatever it does.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Server {
    /// Where it tells its metrics.
    #[must_use]
    pub fn metrics_at(&self) -> SocketAddr {
        address_in(&self.log(), "metrics are told").expect("a line that tells it")
    }

    /// Where it takes plain HTTP to send it on to HTTPS.
    #[must_use]
    pub fn redirects_at(&self) -> SocketAddr {
        address_in(&self.log(), "plain HTTP is sent on").expect("a line that tells it")
    }
}

/// The address in the log's line `listening`.
fn listening_at(log: &str) -> Option<SocketAddr> {
    address_in(log, "listening")
}

/// The address in the log's first line with these words.
fn address_in(log: &str, words: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains(words))?;
    let start = line.find("127.0.0.1:")?;
    let address: String = line[start..]
        .chars()
        .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
        .collect();
    address.parse().ok()
}
