//! What there is to say of HTTPS.

use std::time::Duration;

use sendpromptly_core::time::Timestamp;
use url::Url;

use super::Findings;
use crate::config::HttpConfig;
use crate::http::tls::{self, Identity, TlsFiles, Validity};

/// How long before its end a certificate should have been renewed: renewals that fail are tried again for weeks.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

pub(super) fn check(config: &HttpConfig, now: Timestamp, findings: &mut Findings) {
    match &config.tls {
        Some(tls) => check_certificate(config, &tls.files, now, findings),
        None => advise_tls(config, findings),
    }
}

fn check_certificate(config: &HttpConfig, files: &TlsFiles, now: Timestamp, findings: &mut Findings) {
    let identity = match Identity::read(files, &tls::provider()) {
        Ok(identity) => identity,
        Err(error) => return findings.wrong(format!("https: {error}")),
    };
    let file = files.certificate.display();
    let Validity { from, until } = identity.validity;
    if until < now {
        findings.wrong(format!(
            "https: the certificate in {file} ran out at {until}, so clients refuse it; renew it and send SIGHUP"
        ));
    } else if now < from {
        findings.wrong(format!(
            "https: the certificate in {file} holds from {from} on only; look at this machine's clock"
        ));
    } else if until.since(now) < SOON {
        findings.advise(format!(
            "https: the certificate in {file} runs out at {until}; renew it and send SIGHUP"
        ));
    } else {
        findings.ok(format!(
            "https: the certificate in {file} has its key and holds until {until}"
        ));
    }
    check_name(config, &identity, findings);
}

fn check_name(config: &HttpConfig, identity: &Identity, findings: &mut Findings) {
    let url = config.public_url.as_deref().and_then(|url| Url::parse(url).ok());
    let Some(url) = url else {
        return;
    };
    if url.scheme() != "https" {
        return findings.advise(format!(
            "https: --public-url {url} is not https, though this server is"
        ));
    }
    let host = url.host_str().unwrap_or_default();
    if !identity.is_for(host) {
        findings.wrong(format!(
            "https: the certificate is not for {host}, the host of --public-url, so clients refuse it there"
        ));
    }
}

/// Keys and passwords must not cross a network in clear.
fn advise_tls(config: &HttpConfig, findings: &mut Findings) {
    let is_https = |url: &String| url.starts_with("https://");
    if config.public_url.as_ref().is_some_and(is_https) && config.trusted_proxies.is_empty() {
        return findings.advise(
            "https: --public-url is https and this server is not, so a proxy stands in front; name it by --trusted-proxy, \
             or all clients share its address, its bounds on failed keys and sign-ins, and its place in the audit log",
        );
    }
    let open = !config.listen.ip().to_canonical().is_loopback();
    if open && config.trusted_proxies.is_empty() {
        findings.advise(format!(
            "https: {} can be reached from other machines in clear; give --tls-cert and --tls-key, or put a proxy that \
             speaks TLS in front and name it by --trusted-proxy",
            config.listen
        ));
    }
}

#[cfg(test)]
mod tests;
