//! TLS by a certificate and a key in files, which may be renewed while the server runs.

use std::{
    env, fmt,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use rustls::{
    CertificateError, Error, InconsistentKeys, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::spawn_blocking,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use zeroize::Zeroizing;

use super::exit::Failure;

/// How often the files are checked at most: when a client connects.
const PAUSE: Duration = Duration::from_secs(1);

/// The TLS side of a server. Cloning makes another handle to the same files.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    renewed: Arc<Renewed>,
}

impl Tls {
    /// With the certificate, and those that lead to its root behind it, in `certfile`, and the private key in
    /// `keyfile` or, without one, in `certfile` too; `None` if there is neither. All are PEM.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or lacks what it is for; if the key is not the certificate's.
    pub(crate) fn load(certfile: Option<&Path>, keyfile: Option<&Path>) -> Result<Option<Self>, Failure> {
        let (certificate, key) = match (certfile, keyfile) {
            (Some(certfile), keyfile) => (certfile, keyfile.unwrap_or(certfile)),
            (None, Some(_)) => return Err("--keyfile: expected --certfile as well, found none".into()),
            (None, None) => return Ok(None),
        };
        let files = Files {
            names: ["--certfile", "--keyfile"],
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        Self::of(files, |_| Ok(WebPkiClientVerifier::no_client_auth())).map(Some)
    }

    /// The TLS settings of a JupyterHub with `internal_ssl`: its files are named in `$JUPYTERHUB_SSL_CERTFILE`
    /// and `$JUPYTERHUB_SSL_KEYFILE`, and clients show a certificate of an authority in
    /// `$JUPYTERHUB_SSL_CLIENT_CA`. `None` if none of them is set.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), and if a variable is missing.
    pub(crate) fn internal() -> Result<Option<Self>, Failure> {
        const NAMES: [&str; 3] = [
            "JUPYTERHUB_SSL_CERTFILE",
            "JUPYTERHUB_SSL_KEYFILE",
            "JUPYTERHUB_SSL_CLIENT_CA",
        ];
        let set = NAMES.map(|name| env::var_os(name).filter(|path| !path.is_empty()));
        if set.iter().all(Option::is_none) {
            return Ok(None);
        }
        let path = |place: usize| {
            let path = set[place].as_ref().map(PathBuf::from);
            path.ok_or_else(|| format!("{}: expected a file's path, found nothing", NAMES[place]))
        };
        let files = Files {
            names: [NAMES[0], NAMES[1]],
            certificate: path(0)?,
            key: path(1)?,
        };
        let authorities = path(2)?;
        let verifier = |provider: &Arc<CryptoProvider>| {
            let mut roots = RootCertStore::empty();
            for authority in certificates(NAMES[2], &authorities)? {
                roots
                    .add(authority)
                    .map_err(|error| format!("{} {}: {error}", NAMES[2], authorities.display()))?;
            }
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            Ok(builder.build()?)
        };
        Self::of(files, verifier).map(Some)
    }

    fn of(
        files: Files,
        verifier: impl FnOnce(&Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, Failure>,
    ) -> Result<Self, Failure> {
        let provider = Arc::new(ring::default_provider());
        // Read before the files: a change in between is then seen as a change later.
        let stamp = files.stamp();
        let current = files.read(&provider)?;
        let verifier = verifier(&provider)?;
        let renewed = Arc::new(Renewed {
            files,
            provider: Arc::clone(&provider),
            current: RwLock::new(Arc::new(current)),
            seen: Mutex::new(Seen {
                stamp,
                at: Instant::now(),
            }),
        });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&renewed) as _);
        config.alpn_protocols = [&b"h2"[..], b"http/1.1"].map(Vec::from).into();
        Ok(Self {
            acceptor: Arc::new(config).into(),
            renewed,
        })
    }

    /// Shakes hands. For how long is the caller's to say.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let renewed = self.renewed;
        spawn_blocking(move || renewed.look()).await?;
        self.acceptor.accept(stream).await
    }
}

/// The certificate and key of the files as they were when they last fitted together.
#[derive(Debug)]
struct Renewed {
    files: Files,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    stamp: [Option<Stamp>; 2],
    at: Instant,
}

impl Renewed {
    /// Reads the files if they are others than before. While they do not fit together, as between the writing
    /// of the one and the other, what was before stays.
    fn look(&self) {
        // One check is enough for all connections.
        let Ok(mut seen) = self.seen.try_lock() else {
            return;
        };
        if seen.at.elapsed() < PAUSE {
            return;
        }
        seen.at = Instant::now();
        let stamp = self.files.stamp();
        if stamp == seen.stamp {
            return;
        }
        seen.stamp = stamp;
        match self.files.read(&self.provider) {
            Ok(renewed) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(renewed);
                tracing::info!(
                    "{}: the certificate was renewed",
                    self.files.certificate.display()
                );
            }
            Err(error) => tracing::warn!("{error}; the certificate from before stays in use"),
        }
    }
}

impl ResolvesServerCert for Renewed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.current.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

#[derive(Debug)]
struct Files {
    /// Where certificate and key were named.
    names: [&'static str; 2],
    certificate: PathBuf,
    key: PathBuf,
}

/// The properties that distinguish a file from the one before, links followed to their end.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    created: Option<SystemTime>,
    /// Device, inode and time of the last change, which also show a file that was exchanged or renamed.
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;

        Self {
            size: metadata.len(),
            modified: metadata.modified().ok(),
            created: metadata.created().ok(),
            #[cfg(unix)]
            inode: (
                metadata.dev(),
                metadata.ino(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            ),
        }
    }
}

impl Files {
    fn stamp(&self) -> [Option<Stamp>; 2] {
        [&self.certificate, &self.key].map(|path| fs::metadata(path).ok().map(Stamp::from))
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, Failure> {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        let [certfile, keyfile] = self.names;
        let chain = certificates(certfile, &self.certificate)?;
        let text = fs::read(&self.key).map_err(|error| format!("{keyfile} {key}: {error}"))?;
        let text = Zeroizing::new(text);
        let read = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
            pem::Error::NoItemsFound => {
                format!("{keyfile} {key}: expected a private key in PEM, not encrypted, found none")
            }
            // Nothing of what was found: it is most of a key.
            _ => format!("{keyfile} {key}: expected PEM, found something else"),
        })?;
        CertifiedKey::from_der(chain, read, provider).map_err(|error| {
            let what: &dyn fmt::Display = match &error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => &"the key of another certificate",
                Error::InvalidCertificate(CertificateError::BadEncoding) => {
                    &"a certificate that cannot be read"
                }
                error => error,
            };
            format!(
                "{keyfile} {key}: expected the key of the first certificate in {certificate}, found {what}"
            )
            .into()
        })
    }
}

/// All certificates in the file at `path`, which was named by `name`; one at least.
fn certificates(name: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let shown = path.display();
    let text = fs::read(path).map_err(|error| format!("{name} {shown}: {error}"))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{name} {shown}: expected PEM, found something else: {error}"))?;
    if chain.is_empty() {
        return Err(format!("{name} {shown}: expected a certificate in PEM, found none").into());
    }
    Ok(chain)
}
