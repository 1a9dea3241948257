//! A console on loopback, for tests that go through the whole of it: requests in, pages out.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, COOKIE, HeaderMap, LOCATION};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sendpromptly_core::access::Role;
use sendpromptly_core::id::{OrganizationId, RequestId, UserId};
use sendpromptly_core::replay::RetrySchedule;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use url::form_urlencoded;

use super::World;
use crate::account::password::Password;
use crate::alerts::Sender;
use crate::callback::{AddressPolicy, CallbackClient, ClientConfig};
use crate::checkpoints::Checkpoints;
use crate::config::{MailConfig, SignUp};
use crate::console::form_token::{self, FormToken};
use crate::console::{Console, Setting, cookie, routes};
use crate::http::listener::{self, Limits};
use crate::http::{Client, response};
use crate::mail::{Post, Transport};
use crate::platform::{clock, entropy};
use crate::store::rows::Sql;
use crate::store::sessions::{NewSession, SessionToken};
use crate::vault::Vault;

const FORM: &str = "application/x-www-form-urlencoded";

/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse battery";

static PASSWORD_HASH: LazyLock<String> = LazyLock::new(|| {
    let password = Password::new(PASSWORD.to_owned().into(), &[]).unwrap();
    password.hash().unwrap()
});

/// A console with its store.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) console: Arc<Console>,
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
    http: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
}

/// Somebody with a browser.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) email: String,
    /// What the browser holds.
    kind: cookie::Kind,
    pub(crate) token: SessionToken,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// Where it leads.
    pub(crate) fn location(&self) -> &str {
        self.headers
            .get(LOCATION)
            .map_or("", |location| location.to_str().unwrap())
    }
}

/// A request in the making.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) fields: Vec<(String, String)>,
}

impl Ask {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// Sends a form with these fields.
    pub(crate) fn post(path: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let mut ask = Self::new(Method::POST, path);
        ask.fields.extend(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        ask
    }

    /// With a form token that is good for this browser.
    pub(crate) fn with_form_of(mut self, person: &Person) -> Self {
        let token = FormToken::generate(&person.token, clock::now()).to_string();
        self.fields.push((form_token::FIELD.to_owned(), token));
        self
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl Ask {
    /// The fields, as a form has them.
    fn body(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&self.fields).finish()
    }
}

impl Person {
    /// What the browser sends along.
    fn cookie(&self) -> String {
        let pair = cookie::set(self.kind, &client(), &self.token);
        pair.to_str().unwrap().split(';').next().unwrap().to_owned()
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        let world = World::set_up().await;
        let vault = Vault::open(&world.store, &world.keys()).await.unwrap();
        let policy = AddressPolicy {
            allow_private: true,
            ..AddressPolicy::default()
        };
        let client = CallbackClient::new(ClientConfig::new(policy.clone())).unwrap();
        let mail = MailConfig {
            smtp: None,
            from: "pay@example.com".parse().unwrap(),
        };
        let alerts = Sender {
            client: client.clone(),
            policy: policy.clone(),
            transport: Transport::new(&mail, world.directory.path()).unwrap(),
            base_url: "http://127.0.0.1".into(),
        };
        let console = Console::new(Setting {
            alerts,
            store: world.store.clone(),
            post: Post::new(vault.clone(), "http://127.0.0.1", Arc::default()),
            mail_goes_to_files: false,
            billing: None,
            sign_up: SignUp::Open,
            vault,
            checkpoints: Arc::new(Checkpoints::open(&world.keys()).unwrap()),
            callbacks: client,
            policy,
            schedule: RetrySchedule::default(),
            base_url: "http://127.0.0.1".to_owned(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answering = console.clone();
        let task = tokio::spawn(listener::serve(
            listener,
            None,
            move |request, _| answer(answering.clone(), request),
            std::future::pending(),
            Limits::default(),
        ));
        Self {
            world,
            console,
            address,
            task,
            http: hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Ends it, so that a test can go through many on one database server.
    pub(crate) async fn close(self) {
        self.task.abort();
        self.world.store.close().await.unwrap();
    }

    /// A user with a browser that is signed in, with a password just shown and no second factor.
    pub(crate) async fn person(&self, email: &str) -> Person {
        let now = clock::now();
        let user = UserId::new(now, entropy::for_id());
        let insert = Sql::new(
            "INSERT INTO users (id, email, email_key, password_hash, created_at) VALUES ({}, {}, {}, {}, {})",
        );
        let insert = insert.bind(user.as_bytes()).bind(email).bind(email);
        let insert = insert.bind(PASSWORD_HASH.as_str()).bind(now);
        self.world.write(insert).await;
        self.sign_in(user, email).await
    }

    /// Another browser of a user.
    pub(crate) async fn sign_in(&self, user: UserId, email: &str) -> Person {
        let token = SessionToken::generate();
        let now = clock::now();
        let new = NewSession {
            token: &token,
            user,
            complete: true,
            password_at: Some(now),
            code_at: None,
            address: [127, 0, 0, 1].into(),
            agent: "test",
            now,
        };
        self.world.store.begin_session(&new).await.unwrap();
        Person {
            user,
            email: email.to_owned(),
            kind: cookie::Kind::Session,
            token,
        }
    }

    /// Another browser of a user who has a second factor and showed a code of it so long ago, in milliseconds.
    pub(crate) async fn sign_in_with_code(&self, person: &Person, ago: i64) -> Person {
        let now = clock::now();
        let factor = Sql::new(
            "INSERT INTO second_factors (user_id, id, sealed, last_step, confirmed_at) VALUES ({}, {}, {}, 0, {})
             ON CONFLICT (user_id) DO NOTHING",
        );
        let id: [u8; 16] = entropy::bytes();
        let factor = factor
            .bind(person.user.as_bytes())
            .bind(id)
            .bind(vec![0_u8; 8])
            .bind(now);
        self.world.write(factor).await;
        let browser = self.sign_in(person.user, &person.email).await;
        let shown = Sql::new("UPDATE sessions SET code_at = {}, password_at = {} WHERE token_digest = {}");
        let at = now.plus_millis(-ago);
        self.world
            .write(shown.bind(at).bind(at).bind(browser.token.digest()))
            .await;
        browser
    }

    /// A browser in which the second factor is still missing.
    pub(crate) async fn sign_in_halfway(&self, person: &Person) -> Person {
        let browser = self.sign_in(person.user, &person.email).await;
        let half = Sql::new("UPDATE sessions SET complete = 0 WHERE token_digest = {}");
        self.world.write(half.bind(browser.token.digest())).await;
        browser
    }

    /// Somebody who is not signed in.
    pub(crate) fn visitor(&self) -> Person {
        Person {
            user: UserId::from_bytes([0; 16]),
            email: String::new(),
            kind: cookie::Kind::Visitor,
            token: SessionToken::generate(),
        }
    }

    /// Another organization than the world's own.
    pub(crate) async fn organization(&self, name: &str) -> OrganizationId {
        let id = OrganizationId::new(clock::now(), entropy::for_id());
        let insert = Sql::new("INSERT INTO organizations (id, name, created_at) VALUES ({}, {}, {})");
        self.world
            .write(insert.bind(id.as_bytes()).bind(name).bind(clock::now()))
            .await;
        id
    }

    /// Makes somebody a member.
    pub(crate) async fn join(&self, person: &Person, organization: OrganizationId, role: Role) {
        let insert = Sql::new(
            "INSERT INTO members (organization_id, user_id, role, created_at) VALUES ({}, {}, {}, {})
             ON CONFLICT (organization_id, user_id) DO UPDATE SET role = excluded.role",
        );
        let insert = insert.bind(organization.as_bytes()).bind(person.user.as_bytes());
        self.world
            .write(insert.bind(role.as_str()).bind(clock::now()))
            .await;
    }

    /// A member of the world's organization.
    pub(crate) async fn member(&self, email: &str, role: Role) -> Person {
        let person = self.person(email).await;
        self.join(&person, self.world.organization, role).await;
        person
    }

    pub(crate) async fn get(&self, person: &Person, path: &str) -> Answer {
        self.send(person, Ask::get(path)).await
    }

    /// Sends a form as a browser does that has got it from a page.
    pub(crate) async fn post(&self, person: &Person, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(person, Ask::post(path, fields).with_form_of(person))
            .await
    }

    pub(crate) async fn send(&self, person: &Person, ask: Ask) -> Answer {
        let (head, body) = self.begin(person, ask).await.unwrap().into_parts();
        let endless = head
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == "text/event-stream");
        let body = if endless {
            Bytes::new()
        } else {
            body.collect().await.unwrap().to_bytes()
        };
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Whether its answer comes to its end. Of one that breaks off, nothing need come at all: what the server has not sent
    /// yet goes with the connection.
    pub(crate) async fn is_answered_whole(&self, person: &Person, ask: Ask) -> bool {
        match self.begin(person, ask).await {
            Ok(answer) => answer.into_body().collect().await.is_ok(),
            Err(_) => false,
        }
    }

    /// Sends it and gives the answer before its body has come.
    pub(crate) async fn begin(
        &self,
        person: &Person,
        ask: Ask,
    ) -> Result<hyper::Response<Incoming>, hyper_util::client::legacy::Error> {
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(format!("http://{}{}", self.address, ask.path))
            .header(COOKIE, person.cookie());
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let mut body = Bytes::new();
        if ask.method == Method::POST {
            request = request.header(CONTENT_TYPE, FORM);
            body = ask.body().into();
        }
        self.http.request(request.body(Full::new(body)).unwrap()).await
    }

    /// Sends a form whose body follows when the server waits for it and something was done meanwhile. Gives the answer as
    /// it came.
    pub(crate) async fn send_late(
        &self,
        person: &Person,
        ask: &Ask,
        meanwhile: impl Future<Output = ()>,
    ) -> String {
        let (path, cookie, body) = (&ask.path, person.cookie(), ask.body());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: console\r\ncookie: {cookie}\r\ncontent-type: {FORM}\r\n\
             content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let mut stream = BufReader::new(TcpStream::connect(self.address).await.unwrap());
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut waits = String::new();
        stream.read_line(&mut waits).await.unwrap();
        assert!(waits.contains("100"), "{waits}");
        meanwhile.await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

/// Another network each time, so that no rate is met but that of a session.
fn client() -> Client {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let [_, a, b, c] = NEXT.fetch_add(256, Ordering::Relaxed).to_be_bytes();
    Client {
        address: [10, a, b, c].into(),
        secure: false,
        loopback: true,
    }
}

async fn answer(console: Arc<Console>, request: Request<Incoming>) -> crate::http::Response {
    let id = RequestId::new(clock::now(), entropy::for_id());
    let answered = match routes::find(request.method(), request.uri().path()) {
        Ok(found) => console.answer(found, request, client(), id).await,
        Err(error) => Err(error),
    };
    let mut answer = answered.unwrap_or_else(|error| console.error_page(error, id));
    response::finish(&mut answer, id, false);
    answer
}
