//! What an OpenStack client needs: shell lines, or a clouds.yaml.

use std::fmt::Write;

use serde_json::json;

/// How to log in to a cloud.
pub struct Login<'a> {
    /// The cloud's name.
    pub cloud: &'a str,
    /// The identity service's URL, with its version.
    pub auth_url: &'a str,
    /// The region.
    pub region: &'a str,
    /// The user, of the domain `Default`.
    pub user: &'a str,
    /// The project, of the domain `Default`.
    pub project: &'a str,
    /// The password.
    pub password: &'a str,
}

/// Lines for `eval "$(octo openrc)"`. Variables of another cloud that would be in the way are unset.
pub fn openrc(login: &Login<'_>) -> String {
    let variables = [
        ("OS_AUTH_TYPE", "password"),
        ("OS_AUTH_URL", login.auth_url),
        ("OS_USERNAME", login.user),
        ("OS_PASSWORD", login.password),
        ("OS_USER_DOMAIN_NAME", "Default"),
        ("OS_PROJECT_NAME", login.project),
        ("OS_PROJECT_DOMAIN_NAME", "Default"),
        ("OS_REGION_NAME", login.region),
        ("OS_INTERFACE", "public"),
        ("OS_ENDPOINT_TYPE", "publicURL"),
        ("OS_IDENTITY_API_VERSION", "3"),
    ];
    let mut text = "unset OS_CLOUD OS_TOKEN OS_SYSTEM_SCOPE OS_DOMAIN_NAME OS_PROJECT_ID OS_USER_ID\n".to_owned();
    for (name, value) in variables {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "export {name}={}", quoted(value));
    }
    text
}

/// The same as a clouds.yaml with one cloud.
pub fn clouds_yaml(login: &Login<'_>) -> String {
    // JSON strings are YAML strings, so that no value can break out of its line.
    let text = |value: &str| json!(value).to_string();
    format!(
        "clouds:\n  {cloud}:\n    auth:\n      auth_url: {url}\n      username: {user}\n      password: {password}\n      \
         user_domain_name: Default\n      project_name: {project}\n      project_domain_name: Default\n    \
         region_name: {region}\n    interface: public\n    identity_api_version: 3\n",
        cloud = text(login.cloud),
        url = text(login.auth_url),
        user = text(login.user),
        password = text(login.password),
        project = text(login.project),
        region = text(login.region),
    )
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Login<'static> = Login {
        cloud: "lab",
        auth_url: "http://127.0.0.1:5000/v3",
        region: "RegionOne",
        user: "admin",
        project: "admin",
        password: "it's $ecret",
    };

    #[test]
    fn the_shell_sees_every_value_whole() {
        insta::assert_snapshot!(openrc(&LOGIN), @r"
        unset OS_CLOUD OS_TOKEN OS_SYSTEM_SCOPE OS_DOMAIN_NAME OS_PROJECT_ID OS_USER_ID
        export OS_AUTH_TYPE='password'
        export OS_AUTH_URL='http://127.0.0.1:5000/v3'
        export OS_USERNAME='admin'
        export OS_PASSWORD='it'\''s $ecret'
        export OS_USER_DOMAIN_NAME='Default'
        export OS_PROJECT_NAME='admin'
        export OS_PROJECT_DOMAIN_NAME='Default'
        export OS_REGION_NAME='RegionOne'
        export OS_INTERFACE='public'
        export OS_ENDPOINT_TYPE='publicURL'
        export OS_IDENTITY_API_VERSION='3'
        ");
    }

    #[test]
    fn clouds_yaml_has_one_cloud() {
        insta::assert_snapshot!(clouds_yaml(&LOGIN), @r#"
        clouds:
          "lab":
            auth:
              auth_url: "http://127.0.0.1:5000/v3"
              username: "admin"
              password: "it's $ecret"
              user_domain_name: Default
              project_name: "admin"
              project_domain_name: Default
            region_name: "RegionOne"
            interface: public
            identity_api_version: 3
        "#);
    }
}
