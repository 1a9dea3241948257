//! A browser without a window or scripts: it keeps cookies, reads pages, and sends forms with the headers that
//! browsers add by themselves.

use std::net::SocketAddr;

use crate::cookies::Cookies;
use crate::form::{Form, urlencoded};
use crate::http::Request;
use crate::page::Page;
use crate::server::Server;

/// A person at a browser. A clone goes on from the same cookies, apart from the first.
#[derive(Debug, Clone)]
pub struct Browser {
    server: SocketAddr,
    /// What it has been told to keep.
    pub cookies: Cookies,
    headers: Vec<(String, String)>,
}

impl Browser {
    /// One that knows nobody yet.
    #[must_use]
    pub fn new(server: &Server) -> Self {
        Self::at(server.address)
    }

    /// The same where there is only an address.
    #[must_use]
    pub fn at(server: SocketAddr) -> Self {
        Self {
            server,
            cookies: Cookies::default(),
            headers: Vec::new(),
        }
    }

    /// The same person at another node. Cookies know no ports.
    #[must_use]
    pub fn moved_to(&self, server: &Server) -> Self {
        Self {
            server: server.address,
            ..self.clone()
        }
    }

    /// Sends this header with every request, in place of what a browser would send under its name; an empty
    /// one keeps the header away.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where it thinks it is: scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.server)
    }

    /// Opens a page, as by typing its address; a redirect is not followed.
    pub async fn get(&mut self, path: &str) -> Page {
        self.navigate(path, "none").await
    }

    /// Opens a page and goes where it leads.
    pub async fn visit(&mut self, path: &str) -> Page {
        let page = self.get(path).await;
        self.follow(page).await
    }

    /// Opens a page from a link on one of this server's pages.
    pub async fn click(&mut self, path: &str) -> Page {
        self.navigate(path, "same-origin").await
    }

    /// Goes where a page leads, until one leads nowhere else.
    pub async fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..8 {
            if !matches!(page.status(), 301..=303) {
                return page;
            }
            let target = page.location().expect("a redirect leads somewhere");
            let target = self.path_of(target, &page.url);
            page = self.navigate(&target, "same-origin").await;
        }
        panic!("redirected without end: {}", page.url);
    }

    /// Sends a form by its first button, or the one that was pressed; a redirect is not followed.
    pub async fn submit(&mut self, form: Form) -> Page {
        let target = self.path_of(form.target(), "/");
        if form.method == "GET" {
            let (path, _) = target.split_once('?').unwrap_or((&target, ""));
            return self.click(&format!("{path}?{}", form.encoded())).await;
        }
        self.send(self.post_of(&target, form.encoded())).await
    }

    /// Sends a form and goes where its answer leads.
    pub async fn submit_and_follow(&mut self, form: Form) -> Page {
        let page = self.submit(form).await;
        self.follow(page).await
    }

    /// Posts fields that no form has put together.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.send(self.post_of(path, urlencoded(fields))).await
    }

    /// Sends any request with the cookies, and keeps those that come back.
    pub async fn send(&mut self, request: Request) -> Page {
        let path = request.target().to_owned();
        let request = self.dressed(request);
        let answer = request.send(self.server).await;
        self.cookies.keep(&answer);
        Page::new(path, answer)
    }

    async fn navigate(&mut self, path: &str, site: &str) -> Page {
        let request = Request::new("GET", path)
            .header("sec-fetch-site", site)
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document");
        self.send(request).await
    }

    fn post_of(&self, path: &str, body: String) -> Request {
        Request::new("POST", path)
            .header("origin", self.origin())
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    /// The request with host, cookies, and what this browser was told to send otherwise.
    fn dressed(&self, request: Request) -> Request {
        let mut request = request
            .with("host", self.server.to_string())
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("user-agent", "Mozilla/5.0 (test)");
        if let Some(cookies) = self.cookies.header() {
            request = request.with("cookie", cookies);
        }
        for (name, value) in &self.headers {
            request = request.without(name);
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        request
    }

    /// The path and query that a link on the page at `base` means; it must stay at this server.
    fn path_of(&self, link: &str, base: &str) -> String {
        let link = link.strip_prefix(&self.origin()).unwrap_or(link);
        if let Some(query) = link.strip_prefix('?') {
            let (path, _) = base.split_once('?').unwrap_or((base, ""));
            return format!("{path}?{query}");
        }
        assert!(
            link.starts_with('/') && !link.starts_with("//"),
            "{link} leads elsewhere"
        );
        let (path, _fragment) = link.split_once('#').unwrap_or((link, ""));
        path.to_owned()
    }
}
