//! Which login a real browser sends where, and what pages of other origins can do with it.

use std::{fs, path::Path};

use portcullis_interop::{browser::drive, example::Example};
use tempfile::TempDir;

#[test]
fn a_login_goes_to_its_own_server_and_not_to_its_neighbours() {
    let servers: Vec<_> = ["/", "/hub/", "/user/alice/", "/user/alice2/"]
        .into_iter()
        .map(|base| (base, Server::start(&["--base-url", base])))
        .collect();
    let arguments: Vec<&str> = servers
        .iter()
        .flat_map(|(base, server)| [*base, &*server.port, &*server.token])
        .collect();
    drive("scopes.mjs", &arguments);
}

#[test]
fn other_sites_cannot_act_with_the_login_and_the_token_leaves_no_trace() {
    let folder = tempfile::tempdir().expect("a directory");
    let certificate =
        rcgen::generate_simple_self_signed(["jupyter.home.test".to_owned()]).expect("a certificate");
    let files = [
        ("cert.pem", certificate.cert.pem()),
        ("key.pem", certificate.signing_key.serialize_pem()),
    ]
    .map(|(name, text)| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    });
    for tls in [&[][..], &files] {
        let mut server = Server::start(&[
            "--allow-host",
            "jupyter.home.test:*",
            "--trusted-proxy",
            "127.0.0.1",
        ]);
        let mut arguments = vec![&*server.port, &*server.token];
        arguments.extend(tls.iter().map(String::as_str));
        drive("cross_site.mjs", &arguments);
        assert!(
            server.process.is_running(),
            "expected the server to outlive what others posted"
        );
    }
}

/// A `notebook_server` at a free port, with a script, a folder and a picture.
struct Server {
    process: Example,
    port: String,
    token: String,
    _root: TempDir,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let files = root.path().join("files");
        fill(&files).expect("files are written");
        let mut command = Example::command(&Example::build("notebook_server"));
        command
            .env("JUPYTER_RUNTIME_DIR", root.path().join("runtime"))
            .env("JUPYTER_CONFIG_DIR", root.path())
            .args(["--port", "0", "--no-browser", "--root-dir"])
            .arg(&files)
            .args(arguments);
        let process = Example::start("notebook_server", command);
        let link = process.line_after("open: ");
        let port = link.split(['/', ':']).nth(4).expect("a port").to_owned();
        let token = process.line_after("API token: ");
        Self {
            process,
            port,
            token,
            _root: root,
        }
    }
}

fn fill(root: &Path) -> std::io::Result<()> {
    fs::create_dir_all(root.join("notes"))?;
    fs::write(root.join("hello.js"), "window.hello = 'what it says'\n")?;
    // The smallest picture there is.
    fs::write(
        root.join("picture.png"),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xff\xff\
          ?\0\x05\xfe\x02\xfe\xa75\x81\x84\0\0\0\0IEND\xaeB`\x82",
    )
}
