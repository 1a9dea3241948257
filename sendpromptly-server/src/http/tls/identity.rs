//! A certificate and its key, as two files in PEM.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};
use sendpromptly_core::time::Timestamp;
use zeroize::Zeroizing;

use crate::platform::clock;

/// Where certificate and key lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and after it those that lead to its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why a certificate or key cannot be used. Nothing of what the file holds is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--{option} {}: {why}", file.display())]
pub struct TlsError {
    option: &'static str,
    file: PathBuf,
    why: String,
}

impl TlsError {
    pub(super) fn certificate(files: &TlsFiles, why: impl Into<String>) -> Self {
        Self {
            option: "tls-cert",
            file: files.certificate.clone(),
            why: why.into(),
        }
    }

    fn key(files: &TlsFiles, why: impl Into<String>) -> Self {
        Self {
            option: "tls-key",
            file: files.key.clone(),
            why: why.into(),
        }
    }
}

/// A certificate with the key that belongs to it.
#[derive(Debug)]
pub struct Identity {
    pub(super) certified: Arc<CertifiedKey>,
    /// From when to when the certificate holds.
    pub validity: Validity,
}

/// From when to when a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub from: Timestamp,
    /// The last moment.
    pub until: Timestamp,
}

impl Identity {
    /// Reads both files. That the time is right is not asked for: a server whose certificate has just run out
    /// should still start, and its clients tell what is wrong.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let chain = read_chain(files)?;
        let key = read_key(files)?;
        let validity = validity_of(&chain, provider)
            .ok_or_else(|| TlsError::certificate(files, "its first certificate cannot be read"))?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::key(
                files,
                format!(
                    "it is not the key of the certificate in {}",
                    files.certificate.display()
                ),
            ),
            Error::InvalidCertificate(_) => {
                TlsError::certificate(files, "its first certificate cannot be read")
            }
            error => TlsError::key(files, format!("it cannot be used: {error}")),
        })?;
        Ok(Self {
            certified: Arc::new(certified),
            validity,
        })
    }

    /// Whether the certificate is for this host name or address.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let Ok(name) = ServerName::try_from(host) else {
            return false;
        };
        self.certified
            .end_entity_cert()
            .and_then(ParsedCertificate::try_from)
            .and_then(|certificate| rustls::client::verify_server_name(&certificate, &name))
            .is_ok()
    }

    pub(super) fn warn_of_its_time(&self, files: &TlsFiles) {
        let (file, now) = (files.certificate.display(), clock::now());
        let Validity { from, until } = self.validity;
        if now < from {
            tracing::warn!(%file, %from, "the certificate does not hold yet, so clients will refuse it");
        } else if until < now {
            tracing::warn!(%file, %until, "the certificate has run out, so clients will refuse it");
        }
    }
}

fn read_chain(files: &TlsFiles) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = std::fs::read(&files.certificate)
        .map_err(|error| TlsError::certificate(files, cannot_be_read(&error)))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::certificate(files, "it is not well-formed PEM"))?;
    if chain.is_empty() {
        return Err(TlsError::certificate(files, "it holds no certificate in PEM"));
    }
    Ok(chain)
}

fn read_key(files: &TlsFiles) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = std::fs::read(&files.key).map_err(|error| TlsError::key(files, cannot_be_read(&error)))?;
    let pem = Zeroizing::new(pem);
    refuse_everybodys(files)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        let why = match error {
            pem::Error::NoItemsFound => {
                "it holds no private key in PEM; one that a passphrase protects cannot be used"
            }
            _ => "it is not well-formed PEM",
        };
        TlsError::key(files, why)
    })
}

/// Certificate tools share a key by a group; all users of the machine are too many.
fn refuse_everybodys(files: &TlsFiles) -> Result<(), TlsError> {
    let mode = mode_of(&files.key).map_err(|error| TlsError::key(files, cannot_be_read(&error)))?;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    Err(TlsError::key(
        files,
        format!("it has mode {mode:04o}, so every user can reach it; chmod o= it"),
    ))
}

fn mode_of(file: &Path) -> std::io::Result<u32> {
    Ok(std::fs::metadata(file)?.permissions().mode() & 0o7777)
}

fn cannot_be_read(error: &std::io::Error) -> String {
    format!("it cannot be read: {error}")
}

/// The times of a chain's first certificate, which the library tells in refusing it before and after.
fn validity_of(chain: &[CertificateDer<'_>], provider: &CryptoProvider) -> Option<Validity> {
    let certificate = ParsedCertificate::try_from(chain.first()?).ok()?;
    let refusal_at = |seconds: u64| {
        let outcome = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &RootCertStore::empty(),
            &[],
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            provider.signature_verification_algorithms.all,
        );
        match outcome {
            Err(Error::InvalidCertificate(refusal)) => Some(refusal),
            _ => None,
        }
    };
    let from = match refusal_at(0)? {
        CertificateError::NotValidYetContext { not_before, .. } => timestamp(not_before),
        _ => Timestamp::from_millis(0),
    };
    let CertificateError::ExpiredContext { not_after, .. } = refusal_at(u64::MAX)? else {
        return None;
    };
    Some(Validity {
        from,
        until: timestamp(not_after),
    })
}

fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp::from_millis(i64::try_from(time.as_secs().saturating_mul(1_000)).unwrap_or(i64::MAX))
}
