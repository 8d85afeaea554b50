//! The parameters of a message: `application/x-www-form-urlencoded`, each at most once.

use zeroize::Zeroizing;

use super::error::OAuthError;
use crate::request::percent;

/// Parameters as they were sent, decoded once. An empty value counts as absent (RFC 6749 §3.1).
pub(super) struct Parameters(Vec<(String, Zeroizing<String>)>);

impl Parameters {
    /// The longest message, in bytes, and the most parameters.
    const LEN: usize = 16 * 1024;
    const COUNT: usize = 32;

    /// The parameters of `text`.
    ///
    /// # Errors
    ///
    /// `invalid_request` if one comes twice, or it is malformed or too large.
    pub(super) fn read(text: &[u8]) -> Result<Self, OAuthError> {
        let malformed = || OAuthError::invalid_request("The request is malformed.");
        if text.len() > Self::LEN {
            return Err(malformed());
        }
        let mut read: Vec<(String, Zeroizing<String>)> = Vec::new();
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut decode = || {
                let bytes = percent::form_decoded(halves.next().unwrap_or_default());
                let bytes = bytes.collect::<Option<Vec<u8>>>()?;
                String::from_utf8(bytes).ok()
            };
            let (Some(name), Some(value)) = (decode(), decode()) else {
                return Err(malformed());
            };
            if read.iter().any(|(earlier, _)| *earlier == name) {
                // A provider of JupyterHub lets several `scopes` through in its own form, which is no message
                // of OAuth; those it reads by itself.
                let text = if is_known(&name) {
                    "A parameter came twice."
                } else {
                    continue;
                };
                return Err(OAuthError::invalid_request(text));
            }
            if read.len() == Self::COUNT {
                return Err(malformed());
            }
            read.push((name, Zeroizing::new(value)));
        }
        Ok(Self(read))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(given, _)| given == name)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }
}

fn is_known(name: &str) -> bool {
    const NAMES: [&str; 15] = [
        "access_token",
        "client_id",
        "client_secret",
        "code",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "error",
        "error_description",
        "grant_type",
        "iss",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
    ];
    NAMES.contains(&name)
}

/// Parameters as they are written, behind `text`.
pub(super) struct FormEncoder {
    pub(super) text: Zeroizing<String>,
    separator: Option<char>,
}

impl FormEncoder {
    /// A form.
    pub(super) fn form() -> Self {
        Self {
            text: Zeroizing::default(),
            separator: None,
        }
    }

    /// The query of `url`, which may have one already.
    pub(super) fn query_of(url: &str) -> Self {
        Self {
            text: Zeroizing::new(url.to_owned()),
            separator: Some(if url.contains('?') { '&' } else { '?' }),
        }
    }

    pub(super) fn add(mut self, name: &str, value: &str) -> Self {
        self.text.extend(self.separator);
        self.separator = Some('&');
        percent::form_encode(name.as_bytes(), &mut self.text);
        self.text.push('=');
        percent::form_encode(value.as_bytes(), &mut self.text);
        self
    }

    pub(super) fn add_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.add(name, value),
            None => self,
        }
    }

    pub(super) fn finish(self) -> String {
        self.text.to_string()
    }
}
