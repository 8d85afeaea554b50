//! Certificates for this machine, and a client that trusts no others.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SerialNumber};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{http::Answer, install};

/// An authority, and a second one below it that signs.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    signing: Issuer<'static, KeyPair>,
    between: String,
}

/// A certificate for `localhost` and 127.0.0.1, in PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate alone.
    pub own: String,
    /// The certificate, and after it the one of its issuer.
    pub chain: String,
    /// The private key.
    pub key: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    ///
    /// If its certificate cannot be written.
    #[expect(clippy::new_without_default, reason = "it writes a file")]
    pub fn new() -> Self {
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            (params, KeyPair::generate().expect("a key"))
        };
        let (root, root_key) = authority("root of the tests");
        let (between, between_key) = authority("signer of the tests");
        let folder = tempfile::tempdir().expect("a directory");
        let root_certificate = root.self_signed(&root_key).expect("a certificate");
        fs::write(folder.path().join("root.pem"), root_certificate.pem()).expect("a file");
        let root = Issuer::new(root, root_key);
        let signed = between.signed_by(&between_key, &root).expect("a certificate");
        Self {
            folder,
            signing: Issuer::new(between, between_key),
            between: signed.pem(),
        }
    }

    /// A certificate that it signed, with a serial number of one byte.
    ///
    /// # Panics
    ///
    /// Never, as far as is known.
    pub fn certificate(&self, serial: u8) -> Certificate {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("good names");
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        let key = KeyPair::generate().expect("a key");
        let own = params
            .signed_by(&key, &self.signing)
            .expect("a certificate")
            .pem();
        Certificate {
            chain: format!("{own}{}", self.between),
            own,
            key: key.serialize_pem(),
        }
    }

    /// The file with the one certificate that clients need to know.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }
}

/// What came of a request that node made: `status`, `headers`, `body`, `protocol`, `serial`, or `error`.
///
/// `request` has `url`, and perhaps `method`, `headers`, `body`, `http2`, `websocket`, or `silent`
/// to say nothing after the handshake until the server hangs up; `cert` and `key`, files of a
/// certificate that is shown; `root` is the certificate that is trusted.
///
/// # Panics
///
/// If node cannot be run.
#[track_caller]
pub fn ask(root: &Path, mut request: Value) -> Value {
    install::node();
    request["ca"] = root.display().to_string().into();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/tls.mjs");
    let output = Command::new("node")
        .arg(script)
        .arg(request.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("node runs");
    let found = serde_json::from_slice(&output.stdout);
    found.unwrap_or_else(|error| panic!("{request}: expected node to say what came of it: {error}"))
}

/// As [`http::request_with`](crate::http::request_with), by TLS to a server with a certificate that `root` issued.
///
/// # Errors
///
/// If no server listens there, or no HTTP answer comes.
///
/// # Panics
///
/// If node cannot be run.
pub fn request_with(
    root: &Path,
    address: &str,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> io::Result<Answer> {
    let headers: serde_json::Map<_, _> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
        .collect();
    let url = format!("https://{address}{target}");
    let found = ask(
        root,
        json!({ "url": url, "method": method, "headers": headers, "body": body }),
    );
    let status = found["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok());
    let status = status.ok_or_else(|| io::Error::other(found["error"].to_string()))?;
    let mut head = format!("HTTP/1.1 {status}");
    for (name, values) in found["headers"].as_object().into_iter().flatten() {
        let values = values
            .as_array()
            .map_or(std::slice::from_ref(values), Vec::as_slice);
        for value in values {
            head.push_str(&format!("\r\n{name}: {}", value.as_str().unwrap_or_default()));
        }
    }
    Ok(Answer {
        status,
        head,
        body: found["body"].as_str().unwrap_or_default().to_owned(),
    })
}
