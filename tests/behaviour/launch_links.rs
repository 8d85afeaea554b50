//! Launch links: once, for a short time, for one purpose, and for their owner's eyes.

use std::{
    os::unix::fs::PermissionsExt as _,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use portcullis::{
    AuthLayer, BaseUrl, Identity, Token,
    clock::UnixTime,
    launch_link::{LaunchLink, LaunchLinkStore, LaunchTarget},
    redirect::{NextUrl, RedirectPolicy},
    request::{Query, TokenBuffer},
    testing::TestClock,
    token::PresentedToken,
};

use crate::common::{request, send};

const START: UnixTime = UnixTime::from_secs(1_700_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn base() -> BaseUrl {
    "/user/alice/".parse().expect("a base")
}

fn lab() -> LaunchTarget {
    LaunchTarget::new(
        NextUrl::parse("/user/alice/lab?reset", RedirectPolicy::new(&base())).expect("a URL of this server"),
    )
}

fn issue(links: &LaunchLinkStore, launch: LaunchTarget, clock: &TestClock) -> LaunchLink {
    links.issue(
        &"http://127.0.0.1:8888".parse().expect("an origin"),
        launch,
        clock,
    )
}

fn token(link: &LaunchLink) -> PresentedToken<'_> {
    let (_, token) = link.expose_url().split_once("?token=").expect("a token");
    PresentedToken::new(token.as_bytes()).expect("well-formed")
}

#[test]
fn of_sixty_four_who_redeem_one_link_one_gets_in() {
    const THREADS: usize = 64;
    const ROUNDS: usize = 10_000;
    // Many links a start of the threads, so that they are at work more than they are started.
    const BATCH: usize = 500;
    let clock = TestClock::new(START);
    let links = LaunchLinkStore::new(base());
    for _ in 0..ROUNDS / BATCH {
        let issued: Vec<LaunchLink> = (0..BATCH).map(|_| issue(&links, lab(), &clock)).collect();
        let winners: Vec<AtomicUsize> = (0..BATCH).map(|_| AtomicUsize::new(0)).collect();
        let start = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    for (link, winners) in issued.iter().zip(&winners) {
                        if links.redeem(token(link), &clock).is_some() {
                            winners.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert!(winners.into_iter().all(|winners| winners.into_inner() == 1));
    }
}

#[test]
fn no_jump_of_the_clock_makes_a_link_live_longer() {
    const HOUR: u64 = 3_600;
    let at = |seconds: u64| UnixTime::from_secs(START.as_secs() + seconds);
    // The date is set, then so much time passes.
    for (set, passes, opens) in [
        (None, 0, true),
        (None, 59, true),
        (None, 60, false),
        (Some(at(0)), 59, true),
        (Some(UnixTime::from_secs(START.as_secs() - HOUR)), 59, true),
        (Some(UnixTime::from_secs(START.as_secs() - HOUR)), 60, false),
        (Some(UnixTime::from_secs(0)), 60, false),
        // A computer that slept: the date says so, the monotonic clock does not.
        (Some(at(59)), 0, true),
        (Some(at(60)), 0, false),
        (Some(at(HOUR)), 0, false),
        (Some(UnixTime::from_secs(u64::MAX)), 0, false),
    ] {
        let clock = TestClock::new(START);
        let links = LaunchLinkStore::new(base());
        let link = issue(&links, lab(), &clock);
        if let Some(date) = set {
            clock.set(date);
        }
        clock.advance(Duration::from_secs(passes));
        let case = format!("{set:?}, {passes} s");
        assert_eq!(links.redeem(token(&link), &clock).is_some(), opens, "{case}");
        clock.set(START);
        assert!(
            links.redeem(token(&link), &clock).is_none(),
            "once, whatever the first answer: {case}"
        );
    }
}

#[test]
fn a_custom_lifetime_holds_to_the_second() {
    let clock = TestClock::new(START);
    let links = LaunchLinkStore::new(base())
        .with_ttl(LaunchLinkStore::MAX_TTL)
        .expect("ten minutes");
    let (in_time, late) = (issue(&links, lab(), &clock), issue(&links, lab(), &clock));
    assert_eq!(in_time.ttl(), 10 * MINUTE);
    clock.advance(10 * MINUTE - Duration::from_secs(1));
    assert!(links.redeem(token(&in_time), &clock).is_some());
    clock.advance(Duration::from_secs(1));
    assert!(links.redeem(token(&late), &clock).is_none());
}

#[test]
fn a_link_is_good_for_what_it_was_issued_for_and_by_its_own_server_alone() {
    let clock = TestClock::new(START);
    let (links, others) = (LaunchLinkStore::new(base()), LaunchLinkStore::new(base()));
    let alice = Identity::new("alice");
    let link = issue(&links, lab().with_identity(alice.clone()), &clock);
    let bare = issue(&links, lab(), &clock);
    assert!(others.redeem(token(&link), &clock).is_none());
    let launch = links.redeem(token(&link), &clock).expect("its own server");
    assert_eq!(launch.next().as_str(), "/user/alice/lab?reset");
    assert_eq!(launch.identity(), Some(&alice));
    assert_eq!(links.redeem(token(&bare), &clock), Some(lab()));
}

#[tokio::test]
async fn a_launch_token_is_no_api_token_and_no_api_token_is_a_launch_token() {
    let clock = TestClock::new(START);
    let links = LaunchLinkStore::new(base());
    let link = issue(&links, lab(), &clock);
    let api = Token::generate();
    let layer = AuthLayer::token(api.clone());
    let text = token(&link).expose();
    for request in [
        request(&format!("GET /\nAuthorization: Bearer {text}")),
        request(&format!("GET /?token={text}")),
    ] {
        let answered = send(&layer, request).await;
        assert_eq!(answered.status, 401, "{answered:?}");
        assert_eq!(answered.header("set-cookie"), "");
    }
    let presented = PresentedToken::new(api.expose().as_bytes()).expect("well-formed");
    assert!(links.redeem(presented, &clock).is_none());
    assert!(
        links.redeem(token(&link), &clock).is_some(),
        "none of this used it up"
    );
}

#[test]
fn the_token_of_a_link_is_read_and_kept_out_of_logs_as_any_other() {
    let clock = TestClock::new(START);
    let links = LaunchLinkStore::new(base());
    let link = issue(&links, lab(), &clock);
    let uri: http::Uri = link.expose_url().parse().expect("a URL");
    assert_eq!(uri.path(), base().join(LaunchLinkStore::PATH));
    let mut buffer = TokenBuffer::default();
    let read = Query::from_uri(&uri)
        .token(&mut buffer)
        .expect("one")
        .expect("there");
    assert_eq!(Query::from_uri(&uri).redacted(), "token=[token]");
    assert!(
        NextUrl::from_request_uri(&uri, RedirectPolicy::new(&base()))
            .as_str()
            .ends_with("/launch")
    );
    assert!(links.redeem(read, &clock).is_some());
}

#[test]
fn a_flood_of_links_and_of_wrong_tokens_takes_no_more_memory_than_the_capacity() {
    let clock = TestClock::new(START);
    let links = LaunchLinkStore::new(base());
    let first = issue(&links, lab(), &clock);
    let filled = allocation_counter::measure(|| {
        for _ in 0..10_000 {
            clock.advance(Duration::from_millis(1));
            drop(issue(&links, lab(), &clock));
        }
    });
    assert!(filled.bytes_max < 512 << 10, "{filled:?}");
    let wrong = allocation_counter::measure(|| {
        for number in 0..10_000 {
            let text = format!("pcl1_{number}");
            let presented = PresentedToken::new(text.as_bytes()).expect("well-formed");
            assert!(links.redeem(presented, &clock).is_none());
        }
    });
    assert_eq!(wrong.bytes_current, 0, "nothing is stored for an unknown token");
    assert!(links.redeem(token(&first), &clock).is_none(), "the oldest out");
    let last = issue(&links, lab(), &clock);
    assert!(links.redeem(token(&last), &clock).is_some());
}

#[test]
fn the_page_is_its_owners_alone_leads_to_the_link_and_goes_with_its_value() {
    let folder = tempfile::tempdir().expect("a directory");
    let odd = folder.path().join("a b#c\u{e9}");
    std::fs::create_dir(&odd).expect("created");
    let clock = TestClock::new(START);
    let links = LaunchLinkStore::new("/it's/a&b/".parse().expect("a base"));
    let link = issue(&links, lab(), &clock);
    let page = link.write_page(&odd).expect("written");
    let metadata = std::fs::metadata(page.path()).expect("there");
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    let html = std::fs::read_to_string(page.path()).expect("text");
    let escaped = link.expose_url().replace('&', "&amp;").replace('\'', "&#39;");
    assert!(
        html.contains(&format!(
            "<meta http-equiv=\"refresh\" content=\"0;url={escaped}\">"
        )),
        "{html}"
    );
    assert!(html.contains(&format!("<a href=\"{escaped}\" rel=\"noreferrer\">")));
    let url = page.url();
    let text = token(&link).expose();
    assert!(!url.contains(text) && !page.path().to_string_lossy().contains(text));
    assert_eq!(
        url::Url::parse(&url).expect("a URL").to_file_path(),
        Ok(page.path().to_owned())
    );
    let shown = format!("{links:?} {link:?} {page:?}");
    assert!(!shown.contains(text), "{shown}");
    drop(page);
    assert_eq!(std::fs::read_dir(&odd).expect("a directory").count(), 0);
    assert!(
        links.redeem(token(&link), &clock).is_some(),
        "the page is not the link"
    );
}

#[tokio::test]
async fn a_used_link_leads_on_only_the_user_whom_it_has_logged_in() {
    const PAGE: &str =
        "accept: text/html\nsec-fetch-site: none\nsec-fetch-mode: navigate\nsec-fetch-dest: document";
    let clock = TestClock::new(START);
    let auth = AuthLayer::builder()
        .token(Token::generate())
        .clock(clock.clone())
        .build()
        .expect("a layer");
    let link = |to: &str| {
        let link = auth
            .launch_link(&format!("http://localhost:8888{to}"))
            .expect("a link");
        link.expose_url()["http://localhost:8888".len()..].to_owned()
    };
    let open = async |link: &str, fields: &str| {
        send(
            &auth,
            request(&format!("GET {link}\nhost: localhost:8888\n{PAGE}\n{fields}")),
        )
        .await
    };
    let (first, other) = (link("/lab?reset"), link("/tree"));
    let login = open(&first, "").await;
    assert_eq!(
        (login.status.as_u16(), login.header("location")),
        (303, "/lab?reset")
    );
    let cookie = format!("cookie: {}", login.cookie("username-"));
    let of_other = open(&other, "").await;
    let other_cookie = format!("cookie: {}", of_other.cookie("username-"));

    for (who, fields, status, location) in [
        ("the same browser", &*cookie, 303, "/lab?reset"),
        ("the same browser once more", &*cookie, 303, "/lab?reset"),
        ("another logged-in browser", &*other_cookie, 403, ""),
        ("a browser without a login", "", 403, ""),
        (
            "a forged cookie",
            "cookie: username-localhost-8888=forged",
            403,
            "",
        ),
    ] {
        let answer = open(&first, fields).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (status, location),
            "{who}"
        );
        assert!(
            answer.set_cookies().is_empty(),
            "{who}: {:?}",
            answer.set_cookies()
        );
    }
    let unknown = first.replace("pcl1_", "pcl1_x");
    assert_eq!(open(&unknown, &cookie).await.status, 403, "a link that never was");
    clock.advance(Duration::from_secs(23 * 3600));
    assert_eq!(open(&first, &cookie).await.status, 303, "within a day");

    let out = open("/logout", &cookie).await;
    assert_eq!(out.status, 200);
    assert_eq!(open(&first, &cookie).await.status, 403, "after the logout");
}
