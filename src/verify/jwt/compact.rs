//! A JWT as it is sent: header, payload and signature in base64url, with dots between them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::rejection::Rejection;

/// A JWT that is read, and not verified.
///
/// Source: RFC 7515 section 7.1, RFC 7519 section 7.2.
pub(super) struct CompactJwt<'a> {
    pub(super) header: Header,
    pub(super) claims: Map<String, Value>,
    /// What the signature is of.
    pub(super) message: &'a [u8],
    pub(super) signature: Vec<u8>,
}

/// The parameters of the header that are used. A key in it (`jwk`, `jku`, `x5c`, `x5u`) is not among them: RFC 8725
/// section 3.10.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

impl<'a> CompactJwt<'a> {
    /// Reads `text`.
    pub(super) fn parse(text: &'a str) -> Result<Self, Rejection> {
        let (message, signature) = text.rsplit_once('.').ok_or(Rejection::NotJwt)?;
        let (header, payload) = message.split_once('.').ok_or(Rejection::NotJwt)?;
        if payload.contains('.') {
            return Err(Rejection::NotJwt);
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejection::NotJwt);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Rejection::NotJwt)?;
        // This server knows no extension, and must understand all that are listed: RFC 7515 section 4.1.11.
        if header.crit.is_some() {
            return Err(Rejection::CriticalExtension);
        }
        Ok(Self {
            header,
            claims: serde_json::from_slice(&decode(payload)?).map_err(|_| Rejection::NotJwt)?,
            message: message.as_bytes(),
            signature: decode(signature)?,
        })
    }
}
