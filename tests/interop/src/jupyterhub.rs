//! A real JupyterHub, with its proxy, and whatever it spawns: a process of its own, in a folder of its own.

use std::{
    fs,
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{cookie_client::CookieClient, example::wait, http, install, tls::Authority};

/// How long a hub may take until it answers through its proxy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a hub is seen.
#[derive(Clone, Copy, Debug)]
pub struct Front<'a> {
    /// The path of all.
    pub base: &'a str,
    /// The host that browsers name.
    pub host: &'a str,
    /// Who signs its certificate, if it speaks TLS.
    pub tls: Option<&'a Authority>,
}

impl Default for Front<'_> {
    fn default() -> Self {
        Self {
            base: "/",
            host: "127.0.0.1",
            tls: None,
        }
    }
}

/// A running JupyterHub. It and all that it started are ended when dropped.
///
/// All users log in with the password [`JupyterHub::PASSWORD`]: `alice` and `bob`, and the administrator `admin`. Servers
/// are spawned for the user of this process.
#[derive(Debug)]
pub struct JupyterHub {
    folder: tempfile::TempDir,
    child: Option<Child>,
    /// The path of all, such as `/`.
    pub base: String,
    /// Host and port that browsers connect to.
    pub address: String,
    /// Where browsers see it, such as `http://127.0.0.1:8000`.
    pub origin: String,
    /// The certificate that browsers trust.
    trusted: Option<PathBuf>,
    /// Host and port of the hub itself.
    pub hub_address: String,
    /// Host and port of the proxy's API.
    pub proxy_api_address: String,
}

impl JupyterHub {
    /// The password of every user.
    pub const PASSWORD: &str = "correct horse battery staple";

    /// The token of the proxy's API.
    pub const PROXY_TOKEN: &str = "a-token-of-the-proxys-api-that-no-other-has";

    /// The token of a service that may do what an administrator may.
    pub const ADMIN_TOKEN: &str = "a-token-of-an-administrator-that-no-other-has";

    /// Starts one with `config`, Python that is read after the usual settings, and waits until it answers.
    ///
    /// `{address}` in `config` stands for where browsers connect to, `{origin}` for where they see it, `{proxy_api}`
    /// for host and port of the proxy's API, `{folder}` for the hub's folder.
    ///
    /// # Panics
    ///
    /// If it is missing and cannot be installed, or does not answer in time.
    pub fn start(config: &str) -> Self {
        Self::start_at(Front::default(), config)
    }

    /// The same, seen at `front`.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_at(front: Front<'_>, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [port, hub_port, proxy_api_port] = free_ports();
        let [address, hub_address, proxy_api_address] =
            [port, hub_port, proxy_api_port].map(|port| format!("127.0.0.1:{port}"));
        let Front { base, host, tls } = front;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{host}:{port}");
        let own = format!(
            "c.JupyterHub.bind_url = '{scheme}://{address}{base}'
c.JupyterHub.hub_bind_url = 'http://{hub_address}'
c.ConfigurableHTTPProxy.api_url = 'http://{proxy_api_address}'
c.ConfigurableHTTPProxy.auth_token = '{}'
c.ConfigurableHTTPProxy.command = [{chp:?}]
c.JupyterHub.authenticator_class = 'dummy'
c.DummyAuthenticator.password = '{}'
c.Authenticator.allowed_users = {{'alice', 'bob'}}
c.Authenticator.admin_users = {{'admin'}}
c.JupyterHub.spawner_class = 'simple'
c.Spawner.args = ['--allow-root']
c.Spawner.start_timeout = 60
c.Spawner.http_timeout = 60
c.JupyterHub.services = [{{'name': 'admin-service', 'admin': True, 'api_token': '{}'}}]
",
            Self::PROXY_TOKEN,
            Self::PASSWORD,
            Self::ADMIN_TOKEN,
            chp = install::node().join(".bin/configurable-http-proxy"),
        );
        let tls = tls.map_or_else(String::new, |authority| {
            let certificate = authority.certificate(0x31);
            fs::write(folder.path().join("cert.pem"), &certificate.chain).expect("a file");
            fs::write(folder.path().join("key.pem"), &certificate.key).expect("a file");
            "c.JupyterHub.ssl_cert = 'cert.pem'\nc.JupyterHub.ssl_key = 'key.pem'\n".to_owned()
        });
        let config = config
            .replace("{address}", &address)
            .replace("{origin}", &origin)
            .replace("{proxy_api}", &proxy_api_address)
            .replace("{folder}", &folder.path().display().to_string());
        fs::write(folder.path().join("jupyterhub_config.py"), own + &tls + &config).expect("a file");
        let mut hub = Self {
            folder,
            base: base.to_owned(),
            child: None,
            address,
            origin,
            trusted: front.tls.map(Authority::root),
            hub_address,
            proxy_api_address,
        };
        hub.launch();
        hub
    }

    /// Ends the hub's process, without a word to what it started, and starts it again.
    ///
    /// # Panics
    ///
    /// If it does not answer in time.
    pub fn restart(&mut self) {
        self.end();
        self.launch();
    }

    /// The folder it runs in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn launch(&mut self) {
        let programs = install::python();
        let mut path = vec![programs.clone()];
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let mut command = Command::new(programs.join("jupyterhub"));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::join_paths(path).expect("a path"))
            .env("HOME", self.folder.path())
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(fs::File::create(self.log()).expect("a file"))
            .stderr(Stdio::null());
        // All it starts is in one group, to be ended with it.
        command.process_group(0);
        command.args(["--config", "jupyterhub_config.py"]);
        // Python logs to stderr.
        let log = fs::File::options().append(true).open(self.log()).expect("a file");
        self.child = Some(command.stderr(log).spawn().expect("jupyterhub starts"));
        self.wait_until("it answers through its proxy", || {
            let target = format!("{}hub/api/", self.base);
            let answer = self.visitor().try_send("GET", &target, &[], "");
            answer.is_ok_and(|answer| answer.status == 200)
        });
    }

    /// Calls the hub's API, as an administrator.
    ///
    /// # Panics
    ///
    /// If no HTTP answer comes.
    #[track_caller]
    pub fn api(&self, method: &str, path: &str, body: &str) -> http::Answer {
        let token = format!("token {}", Self::ADMIN_TOKEN);
        let target = format!("{}hub/api{path}", self.base);
        self.visitor()
            .send(method, &target, &[("Authorization", &token)], body)
    }

    /// A client without a login.
    pub fn visitor(&self) -> CookieClient {
        CookieClient::at(&self.address, &self.origin, self.trusted.as_deref())
    }

    /// Spawns the server of a user, `server` if it has a name, and waits until it is ready. Both stand in URLs.
    ///
    /// # Panics
    ///
    /// If it is not ready in time.
    #[track_caller]
    pub fn spawn(&self, user: &str, server: &str) {
        let path = match server {
            "" => format!("/users/{user}/server"),
            server => format!("/users/{user}/servers/{server}"),
        };
        let _ = self.api("POST", &format!("/users/{user}"), "");
        let asked = self.api("POST", &path, "");
        assert!(
            [201, 202].contains(&asked.status),
            "{path}: {} {}",
            asked.head,
            asked.body
        );
        self.wait_until(&format!("the server {server:?} of {user} is ready"), || {
            let model = self.api("GET", &format!("/users/{user}"), "").json();
            model["servers"][server]["ready"] == true
        });
    }

    /// A token of the hub's for `user`, and its id.
    ///
    /// # Panics
    ///
    /// If the hub gives none.
    #[track_caller]
    pub fn token(&self, user: &str) -> (String, String) {
        let made = self.api("POST", &format!("/users/{user}/tokens"), "{}");
        assert_eq!(made.status, 201, "{} {}", made.head, made.body);
        let made = made.json();
        let text = |key: &str| made[key].as_str().expect("text").to_owned();
        (text("token"), text("id"))
    }

    /// Logs a client in, by the hub's form.
    ///
    /// # Panics
    ///
    /// If the hub does not let them in.
    #[track_caller]
    pub fn log_in(&self, visitor: &mut CookieClient, user: &str) {
        let login = format!("{}hub/login", self.base);
        let form = visitor.open(&login);
        assert_eq!(form.status, 200, "{}", form.head);
        let xsrf = visitor
            .cookie("_xsrf", &login)
            .expect("the form's cookie")
            .value
            .clone();
        let body = format!(
            "_xsrf={xsrf}&username={user}&password={}",
            Self::PASSWORD.replace(' ', "+")
        );
        let fields = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Sec-Fetch-Mode", "navigate"),
        ];
        let answer = visitor.send("POST", &login, &fields, &body);
        assert_eq!(answer.status, 302, "{} {}", answer.head, answer.body);
    }

    /// Waits until `holds`.
    ///
    /// # Panics
    ///
    /// If it does not in time; the message ends with what the hub wrote.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds() {
            assert!(
                Instant::now() < until,
                "expected of the hub that {what} within {PATIENCE:?}; it wrote\n{}",
                self.written()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What it wrote, and what it started.
    pub fn written(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("jupyterhub.log")
    }

    fn end(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let group = format!("-{}", child.id());
        for (signal, patience) in [("TERM", 10), ("KILL", 10)] {
            let _ = Command::new("kill")
                .args(["-s", signal, "--", &group])
                .stderr(Stdio::null())
                .status();
            if wait(&mut child, Duration::from_secs(patience)).is_some() && signal == "KILL" {
                break;
            }
        }
    }
}

impl Drop for JupyterHub {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("the hub wrote\n{}", self.written());
        }
        self.end();
    }
}

/// Ports that were free a moment ago.
///
/// # Panics
///
/// If there are none.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}
