//! The example `mini_hub`, and what users reach behind it.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    example::Example,
    headless_browser::{HeadlessBrowser, Page, wait_until},
    http, install,
};

/// A running `mini_hub`, with `alice`, who may use the service `whoami`, and `bob`, who may not.
#[derive(Debug)]
pub struct MiniHub {
    folder: tempfile::TempDir,
    program: PathBuf,
    process: Option<Example>,
    /// Host and port that the hub listens at for browsers, or for its proxy.
    pub address: String,
    /// Host and port that browsers go to.
    pub public_address: String,
    proxy: Option<(Option<Example>, String)>,
    /// Two ports that are not in use.
    spare: [u16; 2],
    /// Host and port that services go to.
    pub api_address: String,
    /// Host and port of the service.
    pub service_address: String,
    /// Host and port of alice's server.
    pub server_address: String,
}

impl MiniHub {
    /// Alice's and bob's.
    pub const PASSWORD: &str = "purple tricycle nine";
    /// The service's.
    pub const SERVICE_TOKEN: &str = "0f4b6a5f2c1d4e7b8a9c0d1e2f3a4b5c";
    /// The proxy's.
    pub const PROXY_TOKEN: &str = "a-token-of-the-proxys-api-that-no-other-has";
    /// The server's.
    pub const SERVER_TOKEN: &str = "c3b2a1908f7e6d5c4b3a291807f6e5d4";
    /// Of [`MiniHub::PASSWORD`].
    const HASH: &str = "argon2:$argon2id$v=19$m=19456,t=2,p=1$++qLoPlZzZtudPKpETT/cw$ohvRqemsCmGIYPNqe8xLPY6KLLjmso+LeE658ib0vmA";

    /// Starts one on a store such as `memory:` or `sqlite:hub.sqlite`, with more configuration for the service.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn start(store: &str, of_service: &str) -> Self {
        let mut hub = Self::new();
        hub.configure(store, of_service, "");
        hub.launch(&[]);
        hub
    }

    /// The same behind a real configurable-http-proxy, which it gives its routes.
    ///
    /// # Panics
    ///
    /// If they do not come up.
    pub fn start_behind_proxy(store: &str, of_service: &str) -> Self {
        let mut hub = Self::new();
        let [port, api_port] = hub.spare;
        let api_url = format!("http://127.0.0.1:{api_port}");
        let mut command = Command::new(install::node().join(".bin/configurable-http-proxy"));
        command
            .args(["--ip", "127.0.0.1", "--port", &port.to_string()])
            .args(["--api-ip", "127.0.0.1", "--api-port", &api_port.to_string()])
            .args(["--error-target", &format!("http://{}/hub/error", hub.api_address)])
            .env("CONFIGPROXY_AUTH_TOKEN", Self::PROXY_TOKEN);
        hub.public_address = format!("127.0.0.1:{port}");
        hub.proxy = Some((
            Some(Example::start("configurable-http-proxy", command)),
            format!("127.0.0.1:{api_port}"),
        ));
        let top = format!("proxy_api_url = \"{api_url}\"\ntrusted_proxies = [\"127.0.0.1/32\"]");
        hub.configure(store, of_service, &top);
        hub.launch(&[]);
        hub
    }

    /// The same behind a configurable-http-proxy that it starts itself.
    ///
    /// # Panics
    ///
    /// If they do not come up.
    pub fn start_with_own_proxy() -> Self {
        let mut hub = Self::new();
        let [port, api_port] = hub.spare;
        let program = install::node().join(".bin/configurable-http-proxy");
        hub.public_address = format!("127.0.0.1:{port}");
        hub.proxy = Some((None, format!("127.0.0.1:{api_port}")));
        let top = format!(
            "proxy_api_url = \"http://127.0.0.1:{api_port}\"
proxy_command = [{program:?}, \"--ip\", \"127.0.0.1\", \"--port\", \"{port}\", \"--api-ip\", \"127.0.0.1\", \"--api-port\", \"{api_port}\"]
trusted_proxies = [\"127.0.0.1/32\"]"
        );
        hub.configure("memory:", "", &top);
        hub.launch(&[]);
        hub
    }

    /// One with a configuration that is made of its two addresses.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn start_configured(config: impl FnOnce(&str, &str) -> String) -> Self {
        let mut hub = Self::new();
        let config = config(&hub.address, &hub.api_address);
        write_private(&hub.folder.path().join("hub.toml"), &config);
        hub.launch(&[]);
        hub
    }

    fn new() -> Self {
        let [port, api_port, service_port, server_port, spare @ ..] = free_ports();
        Self {
            spare,
            public_address: format!("127.0.0.1:{port}"),
            proxy: None,
            folder: tempfile::tempdir().expect("a folder"),
            program: Example::build("mini_hub"),
            process: None,
            address: format!("127.0.0.1:{port}"),
            api_address: format!("127.0.0.1:{api_port}"),
            service_address: format!("127.0.0.1:{service_port}"),
            server_address: format!("127.0.0.1:{server_port}"),
        }
    }

    fn configure(&mut self, store: &str, of_service: &str, top: &str) {
        let hub = self;
        let config = format!(
            "bind = [\"{address}\", \"{api}\"]
public_url = \"http://{public}/\"
store = \"{store}\"
{top}
[[users]]
name = \"alice\"
password = \"{hash}\"
scopes = [\"access:services!service=whoami\"]

[[users]]
name = \"bob\"
password = \"{hash}\"

[[services]]
name = \"whoami\"
api_token = \"{service_token}\"
oauth_client_id = \"service-whoami\"
oauth_redirect_uri = \"http://{service}/services/whoami/oauth_callback\"
url = \"http://{service}\"
{of_service}

[[servers]]
user = \"alice\"
name = \"\"
api_token = \"{server_token}\"
oauth_redirect_uri = \"/user/alice/oauth_callback\"
url = \"http://{server}\"
stop_command = [\"sh\", \"-c\", \"kill $(cat server.pid)\"]
",
            address = hub.address,
            public = hub.public_address,
            api = hub.api_address,
            hash = Self::HASH,
            service = hub.service_address,
            server = hub.server_address,
            service_token = Self::SERVICE_TOKEN,
            server_token = Self::SERVER_TOKEN,
        );
        write_private(&hub.folder.path().join("hub.toml"), &config);
    }

    /// Ends the hub and starts it again.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn restart(&mut self, environment: &[(&str, &str)]) {
        self.process = None;
        self.launch(environment);
    }

    fn launch(&mut self, environment: &[(&str, &str)]) {
        let mut command = Example::command(&self.program);
        command
            .current_dir(self.folder.path())
            .args(["--config", "hub.toml"])
            .env_remove("JPY_COOKIE_SECRET")
            .env_remove("CONFIGPROXY_AUTH_TOKEN")
            .envs(
                self.has_proxy_of_ours()
                    .then_some(("CONFIGPROXY_AUTH_TOKEN", Self::PROXY_TOKEN)),
            )
            .envs(environment.iter().copied());
        let process = Example::start("mini_hub", command);
        process.line_after("log in: ");
        if self.has_proxy_of_ours() {
            process.line_after("the proxy has its ");
        }
        self.process = Some(process);
    }

    /// Whether a hub starts with this secret file, and its mode, and this variable; and what it says.
    ///
    /// # Panics
    ///
    /// If it neither starts nor ends.
    pub fn starts_with(file: Option<(&[u8], u32)>, variable: Option<&str>) -> (bool, String) {
        let mut hub = Self::new();
        hub.configure("memory:", "", "");
        if let Some((bytes, mode)) = file {
            let path = hub.folder.path().join("jupyterhub_cookie_secret");
            fs::write(&path, bytes).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        }
        let mut command = Example::command(&hub.program);
        command
            .current_dir(hub.folder.path())
            .args(["--config", "hub.toml"])
            .env_remove("JPY_COOKIE_SECRET")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped());
        if let Some(variable) = variable {
            command.env("JPY_COOKIE_SECRET", variable);
        }
        let mut child = command.spawn().expect("it starts");
        for _ in 0..400 {
            if let Some(status) = child.try_wait().expect("a status") {
                let mut said = String::new();
                let mut stderr = child.stderr.take().expect("stderr is a pipe");
                std::io::Read::read_to_string(&mut stderr, &mut said).expect("text");
                assert_eq!(status.code(), Some(2), "{said}");
                return (false, said.trim().to_owned());
            }
            if http::try_request(&hub.address, "GET", "/hub/api", &[]).is_ok() {
                let _ = child.kill();
                let _ = child.wait();
                return (true, String::new());
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        let _ = child.kill();
        panic!("the hub neither answers nor ends");
    }

    /// Ends the hub, and runs one with this environment to its end: its status, and what it wrote.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub fn run_with(&mut self, environment: &[(&str, &str)]) -> (std::process::ExitStatus, String) {
        self.process = None;
        let mut command = Example::command(&self.program);
        command
            .current_dir(self.folder.path())
            .args(["--config", "hub.toml"])
            .envs(environment.iter().copied());
        crate::example::run(command)
    }

    /// Whether it stands behind a proxy that these tests started.
    fn has_proxy_of_ours(&self) -> bool {
        matches!(self.proxy, Some((Some(_), _)))
    }

    /// The folder it runs in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn process(&mut self) -> &mut Example {
        self.process.as_mut().expect("it runs")
    }

    /// A URL of the hub.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public_address)
    }

    /// Host and port of the proxy's API.
    ///
    /// # Panics
    ///
    /// If there is no proxy.
    pub fn proxy_api_address(&self) -> &str {
        let (_, address) = self.proxy.as_ref().expect("it was started behind a proxy");
        address
    }

    /// Ends the proxy.
    pub fn end_proxy(&mut self) {
        self.proxy = None;
    }

    /// The URL of the service.
    pub fn service_url(&self) -> String {
        format!("http://{}/services/whoami/", self.service_address)
    }

    /// Logs `person` in on the login page that `page` is.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[track_caller]
    pub fn log_in(&self, person: &mut HeadlessBrowser, page: &Page, name: &str) -> Page {
        assert!(
            page.url.contains("/hub/login"),
            "expected the login page, found {}",
            page.url
        );
        let xsrf = page.hidden("_xsrf");
        person.submit(
            &page.url,
            &[("_xsrf", &xsrf), ("username", name), ("password", Self::PASSWORD)],
        )
    }

    /// The service in Python, on `jupyterhub.services.auth`, which queries the hub again after `cache` seconds.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn python_service(&self, cache: u32, cookie_secret: &str) -> Example {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/whoami.py");
        let port = self.service_address.rsplit(':').next().unwrap_or_default();
        let mut command = self.python("python");
        command
            .arg(script)
            .args([port, &cache.to_string()])
            .env("JUPYTERHUB_API_TOKEN", Self::SERVICE_TOKEN)
            .env("JUPYTERHUB_CLIENT_ID", "service-whoami")
            .env("JUPYTERHUB_SERVICE_NAME", "whoami")
            .env("JUPYTERHUB_SERVICE_PREFIX", "/services/whoami/")
            .env("JUPYTERHUB_HOST", self.url(""))
            .env(
                "JUPYTERHUB_OAUTH_CALLBACK_URL",
                format!("http://{}/services/whoami/oauth_callback", self.service_address),
            )
            .env(
                "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
                r#"["access:services", "access:services!service=whoami"]"#,
            )
            .env("WHOAMI_COOKIE_SECRET", cookie_secret);
        let service = Example::start("whoami", command);
        service.line_after("whoami listens on ");
        service
    }

    /// The real culler of idle servers, which looks every second and stops what was idle for `timeout` seconds.
    pub fn idle_culler(&self, timeout: u32) -> Example {
        let mut command = self.python("python");
        command
            .args(["-m", "jupyterhub_idle_culler", "--cull-every=1"])
            .arg(format!("--timeout={timeout}"))
            .env("JUPYTERHUB_API_TOKEN", Self::SERVICE_TOKEN);
        Example::start("jupyterhub-idle-culler", command)
    }

    /// The real single-user server, as alice's, below `base` of wherever browsers go.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn single_user_server(&self, host: &str) -> Example {
        let mut command = self.python("jupyterhub-singleuser");
        command
            .args(["--allow-root", "--HubOAuth.cache_max_age=1"])
            .env("JUPYTERHUB_API_TOKEN", Self::SERVER_TOKEN)
            .env("JUPYTERHUB_CLIENT_ID", "jupyterhub-user-alice")
            .env("JUPYTERHUB_USER", "alice")
            .env("JUPYTERHUB_SERVER_NAME", "")
            .env("JUPYTERHUB_SERVICE_PREFIX", "/user/alice/")
            .env(
                "JUPYTERHUB_SERVICE_URL",
                format!("http://{}/user/alice/", self.server_address),
            )
            .env("JUPYTERHUB_HOST", host)
            .env("JUPYTERHUB_OAUTH_CALLBACK_URL", "/user/alice/oauth_callback")
            .env(
                "JUPYTERHUB_ACTIVITY_URL",
                format!("http://{}/hub/api/users/alice/activity", self.api_address),
            )
            .env("JUPYTERHUB_ACTIVITY_INTERVAL", "1")
            .env(
                "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
                r#"["access:servers!server=alice/", "access:servers!user=alice"]"#,
            );
        let server = Example::start("jupyterhub-singleuser", command);
        let pid = self.folder.path().join("server.pid");
        fs::write(pid, server.id().to_string()).expect("a file");
        wait_until("the single-user server answers", || {
            http::try_request(&self.server_address, "GET", "/user/alice/api", &[])
                .is_ok_and(|answer| answer.status == 200)
        });
        server
    }

    fn python(&self, program: &str) -> Command {
        let programs = install::python();
        let mut path = vec![programs.clone()];
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let mut command = Command::new(programs.join(program));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::join_paths(path).expect("a path"))
            .env("HOME", self.folder.path())
            .env("LANG", "C.UTF-8")
            .env(
                "JUPYTERHUB_API_URL",
                format!("http://{}/hub/api", self.api_address),
            )
            .env("JUPYTERHUB_BASE_URL", "/");
        command
    }
}

/// Ports that were free a moment ago.
fn free_ports() -> [u16; 6] {
    let listeners = [(); 6].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// Writes a file that its owner alone can read.
fn write_private(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its owner's file");
}
