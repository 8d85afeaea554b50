//! A real nginx or Caddy in front of a server, configured by a block of the manual.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{example::Example, install, jupyter_server::free_port};

const NGINX: &str = "/usr/sbin/nginx";
const CADDY: &str = "/usr/bin/caddy";

/// A running reverse proxy. It is killed when dropped.
#[derive(Debug)]
pub struct ReverseProxy {
    /// The host and port that it listens on.
    pub address: String,
    _process: Example,
    _folder: TempDir,
}

impl ReverseProxy {
    /// Starts nginx with these directives within `http`. It listens on a free port instead of 127.0.0.1:8080.
    ///
    /// # Panics
    ///
    /// If it is missing and cannot be installed, or does not start.
    pub fn nginx(site: &str) -> Self {
        install::debian_package("nginx", NGINX);
        let temporary: String = ["client_body", "fastcgi", "proxy", "scgi", "uwsgi"]
            .map(|name| format!("{name}_temp_path {name};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}{site}\n}}\n"
        );
        Self::start("nginx", &config, |folder, file| {
            let mut command = Command::new(NGINX);
            command.arg("-p").arg(folder).arg("-c").arg(file);
            command.args(["-e", "stderr"]);
            command
        })
    }

    /// Starts Caddy with these sites. It listens on a free port instead of 127.0.0.1:8080.
    ///
    /// # Panics
    ///
    /// If it is missing and cannot be installed, or does not start.
    pub fn caddy(site: &str) -> Self {
        install::debian_package("caddy", CADDY);
        let config = format!("{{\n    admin off\n}}\n{site}");
        Self::start("caddy", &config, |folder, file| {
            let mut command = Command::new(CADDY);
            command
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(file);
            command
                .env("HOME", folder)
                .env_remove("XDG_DATA_HOME")
                .env_remove("XDG_CONFIG_HOME");
            command
        })
    }

    fn start(name: &str, config: &str, command: impl FnOnce(&Path, &Path) -> Command) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("configuration");
        fs::write(&file, config.replace("127.0.0.1:8080", &address)).expect("a file");
        let mut process = Example::start(name, command(folder.path(), &file));
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&address).is_err() {
            assert!(process.is_running(), "{name} ended at once");
            assert!(Instant::now() < until, "{name} does not listen");
            thread::sleep(Duration::from_millis(50));
        }
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }
}

/// The first `text` block after `heading`, within the section of this title in a chapter of the manual.
///
/// # Panics
///
/// If there is none.
pub fn manual_block(chapter: &str, section: &str, heading: &str) -> String {
    let path = format!("{}/../../src/manual/{chapter}.md", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("the chapter");
    let (_, rest) = text.split_once(&format!("## {section}\n")).expect("the section");
    let (_, rest) = rest.split_once(&format!("\n{heading}")).expect("the heading");
    let block = rest.split("```text\n").nth(1).expect("a block");
    block.split("```").next().expect("its end").to_owned()
}
