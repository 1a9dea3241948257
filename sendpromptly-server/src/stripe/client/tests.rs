//! What Stripe is asked, and what is made of what it answers, or does not.

use sendpromptly_core::billing::Status;
use sendpromptly_core::time::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::testing::NOW;

const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";

/// What a page comes to at a Stripe that answers with this; `None`: never.
async fn asked(answer: Option<String>) -> Result<Url, StripeError> {
    with_stripe(answer, async |client| {
        client.manage("cus_1", "https://example.com").await
    })
    .await
    .0
}

/// What is asked of a Stripe that answers with this, and what it was sent.
async fn with_stripe<T>(answer: Option<String>, ask: impl AsyncFn(StripeClient) -> T) -> (T, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = StripeApi::for_tests(&format!("http://{}", listener.local_addr().unwrap()));
    let answering = async move |sent: oneshot::Sender<String>| {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = [0; 4_096];
        let length = stream.read(&mut read).await.unwrap();
        let _ = sent.send(String::from_utf8_lossy(&read[..length]).into_owned());
        match answer {
            Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
            None => pending().await,
        }
    };
    let (sent, mut heard) = oneshot::channel();
    let answering = tokio::spawn(answering(sent));
    let client = StripeClient::with_patience(&api, Duration::from_millis(300)).unwrap();
    let asked = ask(client).await;
    answering.abort();
    (asked, heard.try_recv().unwrap_or_default())
}

async fn read(id: &str, answer: &str) -> (Result<Option<Answer>, StripeError>, String) {
    with_stripe(Some(answer.to_owned()), async |client| {
        client.subscription(id).await
    })
    .await
}

#[tokio::test]
async fn a_subscription_is_asked_for_by_its_id() {
    let body = r#"{"id":"sub_1","status":"past_due","items":{"data":[{"current_period_end":1900000000}]}}"#;
    let (told, sent) = read("sub_1", &format!("{OK}{body}")).await;
    let expected = Answer {
        status: Status::PastDue,
        paid_until: Some(Timestamp::from_millis(1_900_000_000_000)),
    };
    assert_eq!(told, Ok(Some(expected)));
    assert!(
        sent.starts_with("GET /v1/subscriptions/sub_1 HTTP/1.1\r\n"),
        "{sent}"
    );
    assert!(sent.contains("\r\nauthorization: Bearer sk_test_1\r\n"), "{sent}");
    // An answer of another one is none.
    let (told, _) = read("sub_2", &format!("{OK}{body}")).await;
    assert_eq!(told, Err(StripeError::Unreadable));
    let gone = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(read("sub_1", gone).await.0, Ok(None));
    let refused = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(read("sub_1", refused).await.0, Err(StripeError::Refused(401)));
}

#[tokio::test]
async fn a_checkout_is_asked_for_by_its_id_together_with_its_subscription() {
    let ask = async |answer: &str| {
        with_stripe(Some(format!("{OK}{answer}")), async |client| {
            client.checkout("cs_test_1", NOW).await
        })
        .await
    };
    let url = "https://checkout.stripe.com/c/pay/cs_test_1#x";
    let open = format!(r#"{{"id":"cs_test_1","status":"open","url":"{url}","expires_at":1900000000}}"#);
    let (told, sent) = ask(&open).await;
    let page = CheckoutPage {
        session: Some("cs_test_1".to_owned()),
        url: Url::parse(url).unwrap(),
        expires_at: Some(Timestamp::from_millis(1_900_000_000_000)),
    };
    assert_eq!(told, Ok(CheckoutEnd::Open(page)));
    let line = "GET /v1/checkout/sessions/cs_test_1?expand%5B%5D=subscription HTTP/1.1\r\n";
    assert!(sent.starts_with(line), "{sent}");
    let (told, _) = ask(r#"{"id":"cs_test_1","status":"expired"}"#).await;
    assert_eq!(told, Ok(CheckoutEnd::Expired));
    for unreadable in [
        r#"{"id":"cs_test_2","status":"expired"}"#,
        r#"{"id":"cs_test_1","status":"open","url":"javascript:alert(1)"}"#,
        r#"{"id":"cs_test_1","status":"open"}"#,
        "<html>",
    ] {
        assert_eq!(
            ask(unreadable).await.0,
            Err(StripeError::Unreadable),
            "{unreadable}"
        );
    }
    let gone = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}".to_owned();
    let (told, _) = with_stripe(Some(gone), async |client| client.checkout("cs_1", NOW).await).await;
    assert_eq!(told, Ok(CheckoutEnd::Unknown));
    let (told, sent) = with_stripe(None, async |client| client.checkout("../cs_1", NOW).await).await;
    assert_eq!((told, sent.as_str()), (Err(StripeError::Unreadable), ""));
}

#[tokio::test]
async fn a_price_must_recur_and_be_active() {
    let of = |more: &str| Some(format!("{OK}{{\"id\":\"price_1\",{more}}}"));
    let recurring = r#""recurring":{"interval":"month"}"#;
    let gone = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}".to_owned();
    let unreadable = Err(StripeError::Unreadable);
    for (answer, expected) in [
        (of(&format!("\"active\":true,{recurring}")), Ok(Some(Price::Fits))),
        (
            of(&format!("\"active\":false,{recurring}")),
            Ok(Some(Price::Archived)),
        ),
        (
            of("\"active\":true,\"recurring\":null"),
            Ok(Some(Price::PaidOnce)),
        ),
        (Some(gone), Ok(None)),
        (
            Some(format!("{OK}{{\"id\":\"price_2\",{recurring}}}")),
            unreadable,
        ),
        (Some(format!("{OK}<html>")), unreadable),
        (None, Err(StripeError::NoAnswer)),
    ] {
        let (told, sent) = with_stripe(answer.clone(), async |client| client.price().await).await;
        assert_eq!(told, expected, "{answer:?}");
        assert!(sent.starts_with("GET /v1/prices/price_1 HTTP/1.1\r\n"), "{sent}");
    }
}

#[tokio::test]
async fn an_id_leads_to_nothing_but_a_subscription() {
    for id in [
        "",
        "..",
        "../prices",
        "a/b",
        "a?b=c",
        "a#b",
        "a%2fb",
        "a b",
        "a.b",
    ] {
        let (told, sent) = read(id, OK).await;
        assert_eq!((told, sent.as_str()), (Err(StripeError::Unreadable), ""), "{id}");
    }
}

#[tokio::test]
async fn a_page_is_led_to_only_where_stripe_names_one() {
    let page = format!("{OK}{{\"url\":\"https://billing.stripe.com/p/1\"}}");
    let url = asked(Some(page)).await.unwrap();
    assert_eq!(url.as_str(), "https://billing.stripe.com/p/1");
    for body in [
        "",
        "{",
        "{}",
        r#"{"url":null}"#,
        r#"{"url":"javascript:alert(1)"}"#,
        r#"{"url":"http://billing.stripe.com/"}"#,
    ] {
        assert_eq!(
            asked(Some(format!("{OK}{body}"))).await,
            Err(StripeError::Unreadable),
            "{body}"
        );
    }
}

#[tokio::test]
async fn what_goes_wrong_at_stripe_is_told_apart() {
    let refused = "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned();
    assert_eq!(asked(Some(refused)).await, Err(StripeError::Refused(500)));
    assert_eq!(asked(Some(String::new())).await, Err(StripeError::NoAnswer));
    assert_eq!(asked(None).await, Err(StripeError::NoAnswer));
    let missing = |param: &str| {
        let error = format!("{{\"error\":{{\"code\":\"resource_missing\",\"param\":\"{param}\"}}}}");
        Some(format!("HTTP/1.1 400 No\r\nconnection: close\r\n\r\n{error}"))
    };
    assert_eq!(asked(missing("customer")).await, Err(StripeError::NoCustomer));
    assert_eq!(asked(missing("price")).await, Err(StripeError::Refused(400)));
}

#[test]
fn of_stripes_words_only_names_are_logged() {
    let word = |text: &str| word_in(&Value::from(text)).to_owned();
    assert_eq!(word("line_items[0][price]"), "line_items[0][price]");
    for other in ["No such customer", "Jane", "a@b.example", "", &"x".repeat(65)] {
        assert_eq!(word(other), "", "{other}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let endless = format!("{OK}{{\"url\":\"https://a.example/{}\"}}", "x".repeat(MAX_ANSWER));
    assert_eq!(asked(Some(endless)).await, Err(StripeError::Unreadable));
}
