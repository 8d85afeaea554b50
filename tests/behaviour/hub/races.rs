//! Concurrent requests: many with one code, and a logout during other requests.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{World, authorize_query, exchange_fields, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_clients_with_one_code_one_wins_and_its_token_ends_with_the_second_try() {
    for _ in 0..10 {
        let world = Arc::new(World::new());
        let code = world
            .code(&mut world.browser_of("admin").await, &authorize_query())
            .await
            .expect("a code");
        let tries: Vec<_> = (0..64)
            .map(|_| {
                let (world, code) = (Arc::clone(&world), code.clone());
                tokio::spawn(async move { world.exchange(&exchange_fields(&code)).await })
            })
            .collect();
        let mut tokens = Vec::new();
        for tried in tries {
            let answer = tried.await.expect("no panic");
            match answer.status.as_u16() {
                200 => tokens.push(
                    json(&answer)["access_token"]
                        .as_str()
                        .expect("a token")
                        .to_owned(),
                ),
                400 => assert_eq!(json(&answer)["error"], "invalid_grant"),
                other => panic!("status {other}"),
            }
        }
        assert_eq!(tokens.len(), 1, "one winner");
        assert_eq!(
            world.call("GET", "/user", Some(&tokens[0]), "").await.status,
            403,
            "and nothing won"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_logout_affects_every_later_request_and_waits_for_no_earlier_one() {
    let world = Arc::new(World::new());
    let mut admin = world.browser_of("admin").await;
    let token = world.oauth_token(&mut admin).await;
    let (started, ended) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(tokio::sync::Semaphore::new(0)),
    );
    // Handlers that know who is there, and take their time.
    let slow: Vec<_> = (0..1000)
        .map(|_| {
            let (world, token) = (Arc::clone(&world), token.clone());
            let (started, ended) = (Arc::clone(&started), Arc::clone(&ended));
            tokio::spawn(async move {
                let before = world.call("GET", "/user", Some(&token), "").await.status.as_u16();
                started.fetch_add(1, Ordering::SeqCst);
                let _wait = ended.acquire().await.expect("open");
                let after = world.call("GET", "/user", Some(&token), "").await.status.as_u16();
                (before, after)
            })
        })
        .collect();
    while started.load(Ordering::SeqCst) < 1000 {
        tokio::task::yield_now().await;
    }
    let answer = admin.get("/hub/logout").await;
    assert_eq!(answer.status, 302, "the logout does not wait for them");
    ended.add_permits(1000);
    for slow in slow {
        assert_eq!(slow.await.expect("no panic"), (200, 403));
    }
}
