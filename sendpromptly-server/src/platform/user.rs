//! Who runs this process.

use std::os::unix::fs::MetadataExt;

/// The name of the operating system's user, or `uid-` and the number where it has none. It comes from the
/// process itself, not from variables that anybody can set.
#[must_use]
pub fn name() -> String {
    let id = std::fs::metadata("/proc/self").map(|meta| meta.uid());
    let Ok(id) = id else { return "unknown".to_owned() };
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    find_name(&users, id).unwrap_or_else(|| format!("uid-{id}"))
}

fn find_name(users: &str, id: u32) -> Option<String> {
    let mut fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let user = fields.find(|fields| fields.get(2).is_some_and(|field| *field == id.to_string()))?;
    user.first()
        .filter(|name| !name.is_empty())
        .map(|name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_the_list_of_users() {
        let users = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\nbroken\n";
        assert_eq!(find_name(users, 1_000).as_deref(), Some("app"));
        assert_eq!(find_name(users, 100), None);
    }
}
