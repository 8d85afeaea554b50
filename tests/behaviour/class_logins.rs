//! A class of 300 users who log in by the form at the same moment: every right password is accepted, and each typing error
//! gets the usual refusal.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use http::StatusCode;
use http_body_util::Full;
use portcullis::{
    AuthLayer, Identity, TrustedProxies,
    clock::UnixTime,
    request::Peer,
    testing::{TestClock, fast_password_hash},
    verify::{MemoryPasswordStore, StoredPasswords},
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::common::{Answered, request, send};

const USERS: u32 = 300;
/// One user of this many types a wrong password first: 3 %.
const MISTYPES: u32 = 30;
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// How the server learns a client's address.
#[derive(Clone, Copy, Debug)]
enum AddressSource {
    Peer,
    TrustedProxy,
}

fn layer() -> AuthLayer {
    let user = |number| {
        let hash = fast_password_hash(&format!("password {number}"));
        (Identity::new(&format!("user{number}")), hash)
    };
    let users = MemoryPasswordStore::new((0..USERS).map(user)).expect("users");
    AuthLayer::builder()
        .password_verifier(StoredPasswords::new(users))
        .peer_extractor(|extensions| extensions.get::<SocketAddr>().copied().map(Peer::Ip))
        .trusted_proxies(TrustedProxies::parse(&PROXY.to_string()).expect("an address"))
        // Stands still, so that no failure is forgiven for the time that passes.
        .clock(TestClock::new(UnixTime::from_secs(1_700_000_000)))
        .build()
        .expect("a layer")
}

/// One user with a browser.
struct User {
    layer: AuthLayer,
    number: u32,
    address: IpAddr,
    source: AddressSource,
}

impl User {
    async fn send(&self, lines: &str, body: String) -> Answered {
        let (peer, forwarded) = match self.source {
            AddressSource::Peer => (self.address, String::new()),
            AddressSource::TrustedProxy => (PROXY, format!("\nx-forwarded-for: {}", self.address)),
        };
        let mut request = request(&format!("{lines}{forwarded}")).map(|_| Full::from(body));
        request.extensions_mut().insert(SocketAddr::from((peer, 1)));
        send(&self.layer, request).await
    }

    async fn log_in(self, together: Arc<Barrier>) {
        let number = self.number;
        let page = self.send("GET /login?\naccept: text/html", String::new()).await;
        let mut xsrf = page.cookie("_xsrf=");
        together.wait().await;
        let mut submit = async |password: String| {
            let lines = "POST /login\ncontent-type: application/x-www-form-urlencoded";
            let form = format!("username=user{number}&password={password}&{xsrf}");
            let answer = self.send(&format!("{lines}\ncookie: {xsrf}"), form).await;
            if answer.set_cookies().iter().any(|line| line.starts_with("_xsrf=")) {
                xsrf = answer.cookie("_xsrf=");
            }
            answer
        };
        if number % MISTYPES == MISTYPES - 1 {
            let refused = submit(format!("passwrod+{number}")).await;
            assert_eq!(
                refused.status,
                StatusCode::UNAUTHORIZED,
                "user{number}: {refused:?}"
            );
            assert!(
                refused.text.contains("Incorrect username or password."),
                "{refused:?}"
            );
            let mut cookies = refused.set_cookies().into_iter();
            assert!(!cookies.any(|line| line.starts_with("username-")), "{refused:?}");
        }
        let login = submit(format!("password+{number}")).await;
        assert_eq!(login.status, StatusCode::FOUND, "user{number}: {login:?}");
        let cookie = login.cookie("username-");
        let inside = self
            .send(&format!("GET /\ncookie: {cookie}"), String::new())
            .await;
        assert_eq!(inside.text, format!("user{number} by Cookie"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_logs_in_by_the_form_at_once_though_some_mistype_first() {
    for source in [AddressSource::Peer, AddressSource::TrustedProxy] {
        for addresses in [1, 200] {
            let (layer, together) = (layer(), Arc::new(Barrier::new(USERS as usize)));
            let mut class = JoinSet::new();
            for number in 0..USERS {
                let user = User {
                    layer: layer.clone(),
                    number,
                    address: Ipv4Addr::from_bits(0xc633_6400 + number % addresses).into(),
                    source,
                };
                class.spawn(user.log_in(Arc::clone(&together)));
            }
            while let Some(login) = class.join_next().await {
                login.unwrap_or_else(|error| panic!("{addresses} addresses by {source:?}: {error}"));
            }
        }
    }
}
