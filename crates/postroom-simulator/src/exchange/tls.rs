//! A certificate for the life of a server.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::listen::{Certificate, ListenError};

/// A server configuration and, as PEM, the authority that clients must trust.
pub(crate) struct Identity {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) authority: String,
}

/// Makes an authority, and a certificate by it for these names.
pub(crate) fn identity(
    names: &[String],
    certificate: Certificate,
) -> Result<Identity, ListenError> {
    let failed = |error: rcgen::Error| ListenError::Certificate(error.to_string());
    let mut authority = CertificateParams::new(Vec::new()).map_err(failed)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    authority
        .distinguished_name
        .push(DnType::CommonName, "Simulated authority");
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(failed)?)
        .map_err(failed)?;

    let names = match certificate {
        Certificate::OtherName => vec!["elsewhere.example".to_owned()],
        _ => names.to_vec(),
    };
    let mut params = CertificateParams::new(names).map_err(failed)?;
    match certificate {
        Certificate::Expired => params.not_after = rcgen::date_time_ymd(2001, 1, 1),
        Certificate::NotYetValid => params.not_before = rcgen::date_time_ymd(2999, 1, 1),
        _ => {}
    }
    params
        .distinguished_name
        .push(DnType::CommonName, "Simulated server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, &issuer).map_err(failed)?;

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], private)
        })
        .map_err(|error| ListenError::Certificate(error.to_string()))?;
    Ok(Identity {
        config: Arc::new(config),
        authority: issuer.pem(),
    })
}
