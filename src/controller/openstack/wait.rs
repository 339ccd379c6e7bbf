//! Waiting for a condition, for a limited time.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::view::terminal::style;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// What a look has found.
pub enum Look<T> {
    /// It is there.
    Found(T),
    /// Not yet; how it is instead.
    NotYet(String),
}

/// Looks until something is there. The error says how it was at the last look.
pub async fn until<T>(
    action: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<Look<T>, Error>,
) -> Result<T, Error> {
    let deadline = Instant::now() + patience;
    loop {
        match look().await? {
            Look::Found(found) => return Ok(found),
            Look::NotYet(instead) if Instant::now() >= deadline => {
                let waited = style::duration(patience);
                return Err(Error::new(ErrorKind::Operation, action)
                    .because_text(format!("after {waited} it is still so: {instead}")));
            }
            Look::NotYet(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_look_is_told() {
        let mut looks = 0;
        let found = until("cannot see it", Duration::from_secs(5), async || {
            looks += 1;
            Ok(if looks == 3 { Look::Found(looks) } else { Look::NotYet(format!("look {looks}")) })
        });
        assert_eq!(found.await.unwrap(), 3);
        let mut looks = 0;
        let never = until::<()>("cannot see it", Duration::from_millis(500), async || {
            looks += 1;
            Ok(Look::NotYet(format!("look {looks}")))
        });
        assert_eq!(never.await.unwrap_err().to_string(), "cannot see it: after 0.5 s it is still so: look 3");
    }
}
