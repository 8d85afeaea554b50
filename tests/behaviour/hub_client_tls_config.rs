//! The files that a hub with `internal_ssl` names: read at once, and errors in them are reported.

use std::{fs, path::Path};

use portcullis::{ConfigError, HubAuth, hub_client::HubAuthBuilder};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

const NAMES: [&str; 3] = [
    "JUPYTERHUB_SSL_CERTFILE",
    "JUPYTERHUB_SSL_KEYFILE",
    "JUPYTERHUB_SSL_CLIENT_CA",
];

/// An authority, two certificates of its, and files that hold no such thing.
fn write(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let root = params.self_signed(&key).expect("a certificate");
    let authority = Issuer::new(params, key);
    let put = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a file");
    put("root.pem", &root.pem());
    // A hub trusts several authorities, one for each of its parts.
    put("roots.pem", &format!("{0}{0}", root.pem()));
    for name in ["one", "two"] {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        put(&format!("{name}.pem"), &certificate.pem());
        put(&format!("{name}.key"), &key.serialize_pem());
    }
    put("empty.pem", "");
    put("text.key", "S3CRET");
    put("cut.key", "-----BEGIN PRIVATE KEY-----\nUzNDUkVU\n");
}

fn configured(folder: &Path, files: [Option<&str>; 3]) -> Result<HubAuth, ConfigError> {
    HubAuth::builder_from_vars(&|name| {
        let place = NAMES.iter().position(|known| *known == name);
        let value = match name {
            "JUPYTERHUB_API_TOKEN" => "0123456789abcdef0123456789abcdef",
            "JUPYTERHUB_API_URL" => "https://127.0.0.1:8081/hub/api",
            "JUPYTERHUB_CLIENT_ID" => "jupyterhub-user-alice",
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES" => "[\"access:servers!user=alice\"]",
            "JUPYTERHUB_SERVICE_PREFIX" => "/user/alice/",
            _ => return Some(folder.join(files[place?]?).display().to_string()),
        };
        Some(value.to_owned())
    })
    .and_then(HubAuthBuilder::build)
}

#[test]
fn each_file_is_what_its_variable_says_or_the_error_names_both() {
    let folder = tempfile::tempdir().expect("a directory");
    let folder = folder.path();
    write(folder);
    for files in [
        [None; 3],
        [Some("one.pem"), Some("one.key"), Some("root.pem")],
        [Some("one.pem"), Some("one.key"), Some("roots.pem")],
    ] {
        assert!(configured(folder, files).is_ok(), "{files:?}");
    }
    let [one, key, root] = [Some("one.pem"), Some("one.key"), Some("root.pem")];
    for (files, name, expected) in [
        (
            [None, key, root],
            0,
            "expected a file's path together with JUPYTERHUB_SSL_KEYFILE, found nothing",
        ),
        (
            [one, None, root],
            1,
            "expected a file's path together with JUPYTERHUB_SSL_CERTFILE, found nothing",
        ),
        (
            [one, key, None],
            2,
            "expected a file's path together with JUPYTERHUB_SSL_CERTFILE, found nothing",
        ),
        (
            [Some("none.pem"), key, root],
            0,
            "expected a file that can be read at {}/none.pem, found No such file or directory (os error 2)",
        ),
        (
            [Some("empty.pem"), key, root],
            0,
            "expected certificates in PEM in {}/empty.pem, found none",
        ),
        (
            [key, key, root],
            0,
            "expected certificates in PEM in {}/one.key, found none",
        ),
        (
            [one, one, root],
            1,
            "expected a private key in PEM, not encrypted, in {}/one.pem, found none",
        ),
        (
            [one, Some("text.key"), root],
            1,
            "expected a private key in PEM, not encrypted, in {}/text.key, found none",
        ),
        (
            [one, Some("cut.key"), root],
            1,
            "expected a private key in PEM, not encrypted, in {}/cut.key, found none",
        ),
        (
            [one, Some("two.key"), root],
            1,
            "expected in {}/two.key the key of the first certificate in {}/one.pem, found keys may not be consistent: \
             KeyMismatch",
        ),
        (
            [one, key, Some("empty.pem")],
            2,
            "expected certificates in PEM in {}/empty.pem, found none",
        ),
    ] {
        let error = configured(folder, files).expect_err("wrong");
        let expected = expected.replace("{}", &folder.display().to_string());
        assert_eq!(
            error.to_string(),
            format!("{}: {expected}", NAMES[name]),
            "{files:?}"
        );
    }
}
