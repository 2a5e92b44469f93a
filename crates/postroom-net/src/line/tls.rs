//! TLS configurations: one for all accounts that trust the same authorities.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

use crate::error::{NetError, NetFailure};

/// Most sets of authorities that are remembered.
const KNOWN_MAX: usize = 64;

/// TLS configurations by the authorities that they trust. Cheap to clone; clones share them.
///
/// A configuration holds the platform's authorities, which are read once, and the sessions that can be
/// resumed: an account that is polled every few minutes saves half of the handshake.
#[derive(Clone, Default)]
pub struct TlsClients {
    known: Arc<Mutex<BTreeMap<Option<String>, Arc<ClientConfig>>>>,
}

impl TlsClients {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The configuration that trusts the platform's authorities and those in `extra`, PEM certificates.
    ///
    /// # Errors
    /// `Misconfigured` where these are no certificates, or the platform's cannot be had.
    pub fn config(&self, extra: Option<&str>) -> Result<Arc<ClientConfig>, NetError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = extra.map(str::to_owned);
        if let Some(config) = known.get(&key) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(build(extra)?);
        if known.len() >= KNOWN_MAX {
            known.pop_first();
        }
        known.insert(key, Arc::clone(&config));
        Ok(config)
    }
}

impl fmt::Debug for TlsClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("TlsClients")
            .field("known", &known.len())
            .finish()
    }
}

/// The same verification as the HTTP client's: the platform's authorities, and rustls with AWS-LC.
fn build(extra: Option<&str>) -> Result<ClientConfig, NetError> {
    let misconfigured = || {
        NetError::new(NetFailure::Misconfigured, false)
            .with_detail("the extra authorities or the platform's cannot be used")
    };
    let mut authorities = Vec::new();
    if let Some(pem) = extra {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            authorities.push(certificate.map_err(|error| misconfigured().with_source(error))?);
        }
        if authorities.is_empty() {
            return Err(misconfigured());
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(authorities, Arc::clone(&provider))
        .map_err(|error| misconfigured().with_source(error))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| misconfigured().with_source(error))?
        // "Dangerous" is the name of the door; what goes through it is the platform's own verification.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}
