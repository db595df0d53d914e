//! Signing in with a forge, and out.

use std::time::Duration;

use reqwest::{Method, Response, header};

use super::{SIGNED_IN, Shows, service};
use crate::harness::{app::Tester, oauth::ModelOauth};

/// Someone's browser, on its way through a forge.
struct Browser<'a> {
    t: &'a Tester,
    oauth: &'a ModelOauth,
    cookie: String,
    to: String,
}

impl<'a> Browser<'a> {
    async fn begins(t: &'a Tester, oauth: &'a ModelOauth, forge: &str, next: &str) -> Self {
        let answer = t.asked(&Shows::Nothing, Method::GET, &format!("/sign-in/{forge}?next={next}")).await;
        assert_eq!(answer.status(), 303);
        let cookie = set(&answer, "__Host-containerops-sign-in=").expect("a cookie");
        for rule in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(rule), "{cookie}");
        }
        let to = text(&answer, header::LOCATION.as_str());
        Self { t, oauth, cookie: cookie.split(';').next().expect("a pair").to_owned(), to }
    }

    /// Where the forge sends them back to.
    fn consents(&self, login: &str, account: u64) -> String {
        let back = self.oauth.consents(&self.to, login, account);
        back.strip_prefix("https://ci.example.com").expect("our address").to_owned()
    }

    async fn comes_back(&self, to: &str, cookie: &str) -> Response {
        let request = self.t.straight.get(format!("{}{to}", self.t.url())).header("cookie", cookie);
        request.send().await.expect("an answer")
    }

    async fn signs_in(&self, login: &str, account: u64) -> (Shows, String) {
        let answer = self.comes_back(&self.consents(login, account), &self.cookie).await;
        assert_eq!(answer.status(), 303, "{}", answer.text().await.expect("text"));
        let session = set(&answer, "__Host-containerops=").expect("a session");
        assert!(["HttpOnly", "Secure", "SameSite=Lax"].iter().all(|rule| session.contains(rule)), "{session}");
        let session = session.split(['=', ';']).nth(1).expect("a value").to_owned();
        (Shows::Session(session), text(&answer, "location"))
    }
}

fn text(answer: &Response, name: &str) -> String {
    answer.headers()[name].to_str().expect("text").to_owned()
}

fn set(answer: &Response, name: &str) -> Option<String> {
    let all = answer.headers().get_all(header::SET_COOKIE).iter();
    all.filter_map(|value| value.to_str().ok()).find(|value| value.starts_with(name)).map(str::to_owned)
}

async fn with_oauth(private: bool) -> (Tester, ModelOauth) {
    let oauth = ModelOauth::start().await;
    (service(&format!("{SIGNED_IN}{}", oauth.settings()), private).await, oauth)
}

#[tokio::test]
async fn people_sign_in_with_each_forge_and_out() {
    let (t, oauth) = with_oauth(true).await;
    assert!(t.text(&Shows::Nothing, "/").await.contains("Sign in"));
    for (forge, account) in [("github", 7), ("gitlab", 8), ("gitea", 9)] {
        let browser = Browser::begins(&t, &oauth, forge, "/github/acme/widget/runs/1").await;
        let (rita, to) = browser.signs_in("rita", account).await;
        assert_eq!(to, "/github/acme/widget/runs/1");
        let page = t.text(&rita, "/").await;
        assert!(page.contains(">rita</a>") && page.contains("Sign out"), "{page}");
        let seen = t.status(&rita, Method::GET, &to).await;
        assert_eq!(seen, if forge == "github" { 200 } else { 404 }, "rita of {forge}");
        assert_eq!(t.status(&rita, Method::POST, "/sign-out").await, 303);
        assert!(!t.text(&rita, "/").await.contains("Sign out"), "the session is over on our side, too");
    }
    let (asked, tokens) = oauth.given();
    assert_eq!((asked, tokens.len()), (3, 3), "a token is used once");
    let mut kept = t.database().bytes().await;
    for file in ["containerops.db", "containerops.db-wal"] {
        kept.extend(std::fs::read(t.data().join(file)).unwrap_or_default());
    }
    for token in &tokens {
        let found = kept.windows(token.len()).any(|part| part == token.as_bytes());
        assert!(!found && !kept.is_empty(), "a forge's token is kept nowhere");
    }
}

#[tokio::test]
async fn nobody_signs_in_who_has_not_begun_here_and_now() {
    let (t, oauth) = with_oauth(false).await;
    let browser = Browser::begins(&t, &oauth, "github", "//evil.example").await;
    let back = browser.consents("rita", 7);
    let other = Browser::begins(&t, &oauth, "github", "/").await;
    let forged = browser.cookie.replace("sign-in=", "sign-in=x");
    for cookie in ["", other.cookie.as_str(), forged.as_str()] {
        assert_eq!(browser.comes_back(&back, cookie).await.status(), 400, "{cookie}");
    }
    let elsewhere = back.replace("/github/", "/gitlab/");
    assert_eq!(browser.comes_back(&elsewhere, &browser.cookie).await.status(), 400, "another forge's sign-in");
    let denied = format!("{}&error=access_denied&error_description=no", back.split("code=").next().expect("a path"));
    let state = back.split("state=").nth(1).expect("a state");
    let denied = browser.comes_back(&format!("{denied}&state={state}"), &browser.cookie).await;
    let (status, words) = (denied.status(), denied.text().await.expect("text"));
    assert!(status == 400 && words.contains("ithub did not sign you in"), "{words}");
    let (_, to) = browser.signs_in("rita", 7).await;
    assert_eq!(to, "/", "nobody is led elsewhere");
    let again = browser.comes_back(&back.replace("code-1", "code-2"), &browser.cookie).await;
    let (status, words) = (again.status(), again.text().await.expect("text"));
    assert!(status == 400 && words.contains("incorrect or expired"), "GitHub says so with a 200: {words}");
    let late = Browser::begins(&t, &oauth, "gitlab", "/").await;
    let back = late.consents("rita", 8);
    t.clock.advance(Duration::from_secs(601));
    assert_eq!(late.comes_back(&back, &late.cookie).await.status(), 400, "ten minutes are enough");
    for _ in 0..21 {
        t.asked(&Shows::Nothing, Method::GET, "/sign-in/github").await;
    }
    assert_eq!(t.status(&Shows::Nothing, Method::GET, "/sign-in/github").await, 429);
}

#[tokio::test]
async fn whoever_signs_in_is_led_to_a_page_of_ours_or_to_the_first() {
    let (t, oauth) = with_oauth(false).await;
    for (next, wanted) in [
        ("/github/acme/widget/runs/1%3Fattempt=2%26line=3", "/github/acme/widget/runs/1?attempt=2&line=3"),
        ("/a%252Fb", "/a%2Fb"),
        ("", "/"),
        ("//evil.example", "/"),
        ("%2F%2Fevil.example", "/"),
        ("/%2Fevil.example", "/"),
        ("/%5Cevil.example", "/"),
        ("%5C%5Cevil.example", "/"),
        ("/x%5C..%5Cevil.example", "/"),
        ("https://evil.example", "/"),
        ("https:evil.example", "/"),
        ("%09//evil.example", "/"),
        ("/%09/evil.example", "/"),
        ("/%0A/evil.example", "/"),
        ("/%0D%0ALocation:%20https://evil.example", "/"),
        ("/%00/evil.example", "/"),
        ("%20//evil.example", "/"),
        ("/%E2%80%AE/evil.example", "/"),
        ("evil.example", "/"),
        ("@evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ] {
        let browser = Browser::begins(&t, &oauth, "github", next).await;
        let answer = browser.comes_back(&browser.consents("rita", 7), &browser.cookie).await;
        assert_eq!((answer.status().as_u16(), text(&answer, "location").as_str()), (303, wanted), "{next}");
        // many people sign in from one address in a minute only in tests
        t.clock.advance(Duration::from_secs(61));
    }
}

#[tokio::test]
async fn an_account_is_its_id_and_not_its_name_and_a_session_ends() {
    let (t, oauth) = with_oauth(true).await;
    let (old, _) = Browser::begins(&t, &oauth, "github", "/").await.signs_in("rita", 7).await;
    assert_eq!(t.status(&old, Method::GET, super::RUN).await, 200);
    // she has another name now, and somebody else has hers
    let (thief, _) = Browser::begins(&t, &oauth, "github", "/").await.signs_in("Rita", 66).await;
    assert!(t.text(&thief, "/").await.contains(">Rita</a>"));
    assert!(!t.text(&old, "/").await.contains("rita</a>"), "until she signs in again nobody knows her name");
    let (renamed, _) = Browser::begins(&t, &oauth, "github", "/").await.signs_in("margarita", 7).await;
    assert_eq!(t.status(&renamed, Method::GET, super::RUN).await, 404);
    assert!(t.text(&old, "/").await.contains(">margarita</a>"));
    t.clock.advance(Duration::from_secs(8 * 24 * 3600));
    assert!(!t.text(&old, "/").await.contains("margarita"), "a week is enough");
}

#[tokio::test]
async fn a_form_of_another_site_does_nothing_though_the_browser_has_a_session() {
    let t = service(SIGNED_IN, false).await;
    let Shows::Session(session) = t.session("github/walter").await else { panic!("a session") };
    let press = async |name: Option<(&str, &str)>| {
        let url = format!("{}{}/cancel", t.url(), super::RUN);
        let mut request = t.http.post(url).header("cookie", format!("__Host-containerops={session}"));
        if let Some((name, value)) = name {
            request = request.header(name, value);
        }
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(press(None).await, 403, "browsers say where a form comes from");
    assert_eq!(press(Some(("origin", "https://evil.example"))).await, 403);
    assert_eq!(press(Some(("sec-fetch-site", "cross-site"))).await, 403);
    assert_eq!(press(Some(("sec-fetch-site", "same-origin"))).await, 200);
}
