//! The secrets of a cloud, without their values.

use super::style::{DIM, GOOD, paint};
use super::table::table;
use crate::model::catalog::SecretKind;
use crate::model::rotation::{Account, Rotation};

const HEADINGS: [&str; 5] = ["NAME", "KIND", "SERVICE", "CHANGED", "ROTATION"];

/// The secrets as text: since when each is what it is, and what `octo secrets rotate` takes.
pub fn secrets(accounts: &[Account], width: usize) -> String {
    let mut rows = vec![HEADINGS.map(|heading| paint(DIM, heading)).to_vec()];
    rows.extend(accounts.iter().map(row));
    table(&rows, width)
}

fn row(account: &Account) -> Vec<String> {
    let kind = match account.kind {
        SecretKind::Password => "password",
        SecretKind::FernetKey => "fernet_key",
    };
    let changed = match account.changed {
        Some(time) => time.to_string(),
        None if account.stored => "not known".to_owned(),
        None => "not made yet".to_owned(),
    };
    let rotation = match &account.rotation {
        Rotation::Ring { name, due: Some(due) } => format!("{}, not before {due}", paint(GOOD, name)),
        Rotation::Ring { name, due: None } => paint(GOOD, name),
        Rotation::Never(reason) => format!("no: {reason}"),
    };
    vec![account.name.clone(), kind.to_owned(), account.service.clone(), changed, rotation]
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use anstream::adapter::strip_str;
    use jiff::SignedDuration;

    use super::*;
    use crate::model::rotation::{Change, Ring, accounts};

    /// Keys that take turns and one that cannot, a password, and one that is not made yet.
    pub(crate) fn some() -> Vec<Account> {
        let keys = ["id.key-0", "id.key-1", "id.key-2"];
        let names = keys.iter().chain(&["id.credential"]).map(|key| ((*key).to_owned(), SecretKind::FernetKey));
        let passwords = ["db.root", "id.database"].map(|name| (name.to_owned(), SecretKind::Password));
        let secrets = names.chain(passwords).collect();
        let ring = Ring {
            keys: keys.map(str::to_owned).to_vec(),
            lifetime: SignedDuration::from_hours(49),
            services: [].into(),
        };
        let at = "2026-11-20T10:00:00Z".parse().unwrap();
        let change = |name: &str| (name.to_owned(), Some(Change { at, everywhere: true }));
        let mut changes: BTreeMap<_, _> = keys.map(change).into();
        changes.insert("db.root".to_owned(), None);
        accounts(&secrets, &BTreeMap::from([("id.keys".to_owned(), ring)]), &changes)
    }

    #[test]
    fn each_secret_has_a_line() {
        insta::assert_snapshot!(strip_str(&secrets(&some(), 200)).to_string(), @r"
        NAME           KIND        SERVICE  CHANGED               ROTATION
        db.root        password    db       not known             no: it would have to change at the same time where it is asked for
        id.credential  fernet_key  id       not made yet          no: what it has encrypted would have to be encrypted anew
        id.database    password    id       not made yet          no: it would have to change at the same time where it is asked for
        id.key-0       fernet_key  id       2026-11-20T10:00:00Z  id.keys, not before 2026-11-22T11:00:00Z
        id.key-1       fernet_key  id       2026-11-20T10:00:00Z  id.keys, not before 2026-11-22T11:00:00Z
        id.key-2       fernet_key  id       2026-11-20T10:00:00Z  id.keys, not before 2026-11-22T11:00:00Z
        ");
    }
}
