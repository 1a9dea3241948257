//! The document against the server: its routes, its errors, its examples.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::time::Duration;

use sendpromptly_core::request::{FieldErrors, Receipt, ResultReport};
use sendpromptly_core::time::Timestamp;
use serde_json::Value;

use super::DOCUMENT;
use crate::api::{Handler, ROUTES, unverified};
use crate::http::{ApiError, body};

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

/// What a value stands for, where it is a `$ref`.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

/// Every error, one after another: a new variant does not compile until it has its place here.
fn after(error: &ApiError) -> Option<ApiError> {
    Some(match error {
        ApiError::NotFound => ApiError::MethodNotAllowed("POST".to_owned()),
        ApiError::MethodNotAllowed(_) => ApiError::Unauthorized,
        ApiError::Unauthorized => ApiError::NotBelieved,
        ApiError::NotBelieved => ApiError::HttpsRequired,
        ApiError::HttpsRequired => ApiError::RateLimited(Duration::ZERO),
        ApiError::RateLimited(_) => ApiError::MissingAccept,
        ApiError::MissingAccept => ApiError::NotAcceptable,
        ApiError::NotAcceptable => ApiError::UnsupportedMediaType,
        ApiError::UnsupportedMediaType => ApiError::MissingIdempotencyKey,
        ApiError::MissingIdempotencyKey => ApiError::InvalidIdempotencyKey,
        ApiError::InvalidIdempotencyKey => ApiError::SubscriptionRequired,
        ApiError::SubscriptionRequired => ApiError::PayloadTooLarge,
        ApiError::PayloadTooLarge => ApiError::EventTooLarge,
        ApiError::EventTooLarge => ApiError::TooManyFields,
        ApiError::TooManyFields => ApiError::Invalid(FieldErrors::default()),
        ApiError::Invalid(_) => ApiError::IdempotencyConflict,
        ApiError::IdempotencyConflict => ApiError::EventNotFound,
        ApiError::EventNotFound => ApiError::RequestTimeout,
        ApiError::RequestTimeout => ApiError::BadHost,
        ApiError::BadHost => ApiError::BadRequest,
        ApiError::BadRequest => ApiError::Unavailable,
        ApiError::Unavailable => ApiError::NoRoom,
        ApiError::NoRoom => ApiError::Internal,
        ApiError::Internal => ApiError::InvalidSignature,
        ApiError::InvalidSignature => ApiError::WebhookTooLarge,
        ApiError::WebhookTooLarge => return None,
    })
}

/// Each error's status and code, and its message.
fn errors() -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut errors = BTreeMap::<_, BTreeSet<_>>::new();
    for error in iter::successors(Some(ApiError::NotFound), after) {
        let (status, code) = error.status_and_code();
        let name = (status.as_str().to_owned(), code.to_owned());
        errors.entry(name).or_default().insert(error.to_string());
    }
    errors
}

/// The examples of errors that an operation may answer: status, and example by code.
fn examples<'a>(
    document: &'a Value,
    operation: &'a Value,
) -> impl Iterator<Item = (&'a String, &'a String, &'a Value)> {
    let responses = operation["responses"].as_object().unwrap();
    responses.iter().flat_map(move |(status, response)| {
        let examples = &resolved(document, response)["content"]["application/json"]["examples"];
        let is_error = |example: &Value| example["value"]["error"].is_object();
        examples
            .as_object()
            .into_iter()
            .flatten()
            .filter(move |(_, example)| is_error(example))
            .map(move |(code, example)| (status, code, &example["value"]))
    })
}

#[test]
fn every_route_is_documented_and_no_other() {
    let document = document();
    let documented: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let answered = ROUTES
        .iter()
        .map(|route| (route.path.to_owned(), route.method.to_string()));
    assert_eq!(documented, answered.collect());
}

#[test]
fn every_error_is_documented_where_receipts_and_results_are_and_no_other() {
    let document = document();
    let ingest = ROUTES
        .iter()
        .filter(|route| matches!(route.handler, Handler::Ingest(_)));
    let mut documented = BTreeSet::new();
    for route in ingest {
        let operation = &document["paths"][route.path]["post"];
        for (status, code, _) in examples(&document, operation) {
            documented.insert((status.clone(), code.clone()));
        }
    }
    let of_webhooks = ("400".to_owned(), "invalid_signature".to_owned());
    let mut expected: BTreeSet<_> = errors().into_keys().collect();
    assert!(expected.remove(&of_webhooks));
    assert_eq!(documented, expected);
}

#[test]
fn the_examples_of_errors_are_what_the_server_says() {
    let (document, errors) = (document(), errors());
    for route in &ROUTES {
        let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
        for (status, code, example) in examples(&document, operation) {
            assert_eq!(example["error"]["code"], **code, "{}", route.path);
            let messages = &errors[&(status.clone(), code.clone())];
            let message = example["error"]["message"].as_str().unwrap();
            assert!(messages.contains(message), "{code}: {message}");
        }
    }
}

#[test]
fn each_operation_says_how_long_its_body_may_take() {
    let document = document();
    for route in ROUTES.iter().filter(|route| route.method == "POST") {
        let patience = match route.handler {
            Handler::Ingest(_) => body::PATIENCE,
            _ => unverified::PATIENCE,
        };
        let response = &document["paths"][route.path]["post"]["responses"]["408"];
        let said = resolved(&document, response)["description"].as_str().unwrap();
        let seconds = format!("within {} seconds.", patience.as_secs());
        assert!(said.contains(&seconds), "{}: {said}", route.path);
    }
}

#[test]
fn what_a_provider_is_not_believed_is_counted_against_no_address() {
    let document = document();
    let of = |name: &str| document["components"]["responses"][name]["description"].as_str();
    assert!(of("Unauthorized").unwrap().contains("429"));
    assert!(!of("NotBelieved").unwrap().contains("429"));
}

#[test]
fn the_examples_of_requests_are_accepted() {
    let document = document();
    let bodies = |name: &str| {
        let body = format!("/components/requestBodies/{name}/content/application~1json/examples");
        let examples = document.pointer(&body).unwrap().as_object().unwrap().clone();
        assert!(!examples.is_empty());
        examples.into_values().map(|example| example["value"].to_string())
    };
    let now = Timestamp::parse("2026-02-01T00:00:00Z").unwrap();
    for body in bodies("Receipt") {
        assert!(Receipt::parse(body.as_bytes(), now).is_ok(), "{body}");
    }
    for body in bodies("Result") {
        assert!(ResultReport::parse(body.as_bytes()).is_ok(), "{body}");
    }
}

#[test]
fn every_reference_names_something() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
}
