//! Where a user begins: the organizations.

use askama::Template;

use super::access::SignedIn;
use super::page::{self, Frame};
use super::{PageError, Visit, organization};
use crate::http::Response;

/// `/`: to the organizations of whoever is signed in, and to the sign-in for everybody else.
///
/// # Errors
/// None.
pub async fn start(visit: Visit) -> Result<Response, PageError> {
    let signed_in = visit.session.is_some_and(|session| session.complete);
    Ok(page::see_other(if signed_in { "/orgs" } else { "/sign-in" }))
}

#[derive(Template)]
#[template(path = "organizations.html")]
struct OrganizationsPage {
    frame: Frame,
    places: Vec<Place>,
    /// Whether the user may make another one.
    may_make: bool,
}

struct Place {
    path: String,
    name: String,
    role: &'static str,
}

/// `/orgs`: the user's organizations; straight to it where there is one.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn organizations(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let memberships = visit.store().memberships(who.user).await?;
    let place = |membership: &crate::store::scope::Membership| Place {
        path: format!("/orgs/{}", membership.scope.id()),
        name: membership.name.clone(),
        role: membership.role.as_str(),
    };
    let places: Vec<_> = memberships.iter().map(place).collect();
    if let ([only], false) = (places.as_slice(), visit.query.has("all")) {
        return Ok(page::see_other(&only.path));
    }
    page::page(&OrganizationsPage {
        frame: visit
            .frame_for(&who, "Organizations")
            .telling((visit.query.text("done") == "left").then_some("You have left the organization.")),
        may_make: organization::may_make(&visit, &memberships),
        places,
    })
}
