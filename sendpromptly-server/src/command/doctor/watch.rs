//! What there is to say of how the server is watched, and of what it tells others.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use url::Url;

use super::Findings;
use crate::callback::RepairUrl;
use crate::config::{Config, HttpConfig, SignUp, WatchConfig};

/// How long a monitor may take to take a connection.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn check(config: &Config, findings: &mut Findings) {
    check_metrics(&config.http, &config.watch, findings);
    if let Some(monitor) = &config.watch.heartbeat_url {
        check_monitor(monitor, findings).await;
    }
    advise_public_url(&config.http, findings);
    advise_sign_up(config, findings);
}

/// Metrics are the operator's, and have an address of their own.
fn check_metrics(http: &HttpConfig, watch: &WatchConfig, findings: &mut Findings) {
    let Some(metrics) = watch.metrics_listen else {
        return;
    };
    let redirect = http.tls.as_ref().and_then(|tls| tls.redirect_listen);
    let others = [("--listen", Some(http.listen)), ("--redirect-listen", redirect)];
    for (option, address) in others {
        if address.is_some_and(|address| is_same(address, metrics)) {
            findings.wrong(format!(
                "metrics: --metrics-listen {metrics} is the address of {option}; give it a port of its own"
            ));
        }
    }
    if is_public(metrics.ip()) {
        findings.advise(format!(
            "metrics: whoever reaches {metrics} may read them; let --metrics-listen be an address that only your own \
             machines reach"
        ));
    }
}

/// Whether one port cannot serve both.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    one.port() != 0 && one.port() == other.port() && (a == b || a.is_unspecified() || b.is_unspecified())
}

/// Whether strangers may reach an address: it is every one of this machine's, or neither private nor its own.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_shared(v4.octets()))
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

/// 100.64.0.0/10, in which private networks of providers and tunnels lie.
const fn is_shared([first, second, ..]: [u8; 4]) -> bool {
    first == 100 && second & 0xc0 == 64
}

/// The monitor is not called: that would tell it that the server is ready.
async fn check_monitor(monitor: &RepairUrl, findings: &mut Findings) {
    let origin = monitor.origin();
    let connected = tokio::time::timeout(PATIENCE, connect(monitor)).await;
    match connected {
        Ok(Ok(())) => findings.ok(format!(
            "heartbeat: {origin} takes connections; it was not called"
        )),
        Ok(Err(error)) => findings.wrong(format!(
            "heartbeat: the monitor at {origin} cannot be reached: {error}"
        )),
        Err(_) => findings.wrong(format!(
            "heartbeat: the monitor at {origin} takes no connection within {} s",
            PATIENCE.as_secs()
        )),
    }
}

async fn connect(monitor: &RepairUrl) -> std::io::Result<()> {
    let url = Url::parse(monitor.as_str()).map_err(std::io::Error::other)?;
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    TcpStream::connect((host, port)).await.map(drop)
}

fn advise_public_url(http: &HttpConfig, findings: &mut Findings) {
    if http.public_url.is_none() {
        findings.advise(format!(
            "links: no --public-url is given, so those in mails and alerts lead to {}",
            http.base_url(http.listen)
        ));
    }
}

fn advise_sign_up(config: &Config, findings: &mut Findings) {
    let http = &config.http;
    let reached = http.public_url.is_some() || !http.listen.ip().to_canonical().is_loopback();
    if config.sign_up == SignUp::Open && reached {
        findings.advise(
            "accounts: --signup open lets whoever reaches this server make an organization; close it by --signup invite \
             unless that is what you want",
        );
    }
}

#[cfg(test)]
mod tests;
