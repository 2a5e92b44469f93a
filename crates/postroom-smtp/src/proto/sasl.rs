//! Signing in: what to say, given what was heard (RFC 4954).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use postroom_core::Secret;

use super::offers::Offers;

/// Longest answer, its line end included. Source: RFC 4954 section 4.
const ANSWER_MAX: usize = 12 * 1024;

/// What the account proves itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// A password, in whatever way the server takes it.
    Password,
    /// An access token (XOAUTH2).
    Token,
}

/// Who signs in, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) method: Method,
    pub(crate) user: String,
    pub(crate) secret: Secret,
}

/// Why nothing can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SaslError {
    #[error("the server offers no way of signing in that is spoken here")]
    NoMethod,
    #[error("the user name or password holds a byte that cannot be said this way, or is too long")]
    CannotBeSaid,
}

/// One sign-in.
#[derive(Debug)]
pub(crate) struct SignIn {
    mechanism: Mechanism,
    /// What is said next, from the last to the first.
    answers: Vec<Secret>,
}

impl SignIn {
    /// The way that the server and the account have in common.
    pub(crate) fn choose(account: &Account, offers: &Offers) -> Result<Self, SaslError> {
        let has = |mechanism| offers.mechanisms.contains(&mechanism);
        let odd = account.user.contains('\0') || account.secret.expose().contains('\0');
        let mechanism = match account.method {
            Method::Token if has(Mechanism::Xoauth2) => Mechanism::Xoauth2,
            // The separator of PLAIN is a zero byte; LOGIN has none.
            Method::Password if odd && has(Mechanism::Login) => Mechanism::Login,
            Method::Password if has(Mechanism::Plain) => Mechanism::Plain,
            Method::Password if has(Mechanism::Login) => Mechanism::Login,
            _ => return Err(SaslError::NoMethod),
        };
        let separated = match mechanism {
            Mechanism::Plain => odd,
            Mechanism::Xoauth2 => {
                account.user.contains('\u{1}') || account.secret.expose().contains('\u{1}')
            }
            Mechanism::Login => false,
        };
        if separated {
            return Err(SaslError::CannotBeSaid);
        }
        let credentials =
            Credentials::new(account.user.clone(), account.secret.expose().to_owned());
        let answer = |challenge| {
            let answer = mechanism
                .response(&credentials, challenge)
                .map(Secret::new)
                .map_err(|_unsaid| SaslError::CannotBeSaid)?;
            let answer = Secret::new(STANDARD.encode(answer.expose()));
            if answer.expose().len() > ANSWER_MAX {
                return Err(SaslError::CannotBeSaid);
            }
            Ok(answer)
        };
        let answers = match mechanism {
            // Asked in this order by every server, in words that differ.
            Mechanism::Login => vec![answer(Some("Password:"))?, answer(Some("Username:"))?],
            Mechanism::Plain | Mechanism::Xoauth2 => vec![answer(None)?],
        };
        Ok(Self { mechanism, answers })
    }

    /// The first line, without its end.
    pub(crate) fn first(&mut self) -> Secret {
        if self.mechanism == Mechanism::Login {
            return Secret::new("AUTH LOGIN");
        }
        let answer = self.answers.pop();
        let answer = answer.as_ref().map_or("=", Secret::expose);
        Secret::new(format!("AUTH {} {answer}", self.mechanism))
    }

    /// What to say when the server asks for more. An explanation of why a token is refused is answered by
    /// nothing: then the refusal follows.
    pub(crate) fn next(&mut self) -> Secret {
        self.answers.pop().unwrap_or_else(|| Secret::new(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(method: Method, user: &str, secret: &str) -> Account {
        Account {
            method,
            user: user.to_owned(),
            secret: Secret::new(secret),
        }
    }

    fn offering(mechanisms: &[Mechanism]) -> Offers {
        Offers {
            mechanisms: mechanisms.to_vec(),
            ..Offers::default()
        }
    }

    fn said(account: &Account, mechanisms: &[Mechanism]) -> Result<Vec<String>, SaslError> {
        let mut sign_in = SignIn::choose(account, &offering(mechanisms))?;
        let lines = [
            sign_in.first(),
            sign_in.next(),
            sign_in.next(),
            sign_in.next(),
        ];
        Ok(lines.iter().map(|line| line.expose().to_owned()).collect())
    }

    #[test]
    fn each_way_says_what_its_document_says() {
        use Mechanism::{Login, Plain, Xoauth2};
        let ada = account(Method::Password, "ada", "pw");
        let plain = said(&ada, &[Login, Plain]).unwrap();
        assert_eq!(plain[..2], ["AUTH PLAIN AGFkYQBwdw==", ""]);
        let login = said(&ada, &[Login]).unwrap();
        assert_eq!(login[..3], ["AUTH LOGIN", "YWRh", "cHc="]);
        let token = account(Method::Token, "ada", "t");
        let token = said(&token, &[Plain, Xoauth2]).unwrap();
        assert_eq!(token[0], "AUTH XOAUTH2 dXNlcj1hZGEBYXV0aD1CZWFyZXIgdAEB");
        assert_eq!(token[1], "", "the server explains, and then refuses");
    }

    #[test]
    fn passwords_of_any_byte() {
        use Mechanism::{Login, Plain};
        let odd: String = (1..=127_u8)
            .map(char::from)
            .chain("äß€😀".chars())
            .collect();
        let plain = said(&account(Method::Password, "ada", &odd), &[Plain]).unwrap();
        let decoded = STANDARD
            .decode(plain[0].strip_prefix("AUTH PLAIN ").unwrap())
            .unwrap();
        assert_eq!(decoded, format!("\0ada\0{odd}").into_bytes());
        let zero = account(Method::Password, "ada", "a\0b");
        assert_eq!(said(&zero, &[Plain]).unwrap_err(), SaslError::CannotBeSaid);
        assert_eq!(
            said(&zero, &[Plain, Login]).unwrap()[2],
            STANDARD.encode("a\0b")
        );
        let endless = account(Method::Password, "ada", &"x".repeat(20_000));
        assert_eq!(
            said(&endless, &[Plain]).unwrap_err(),
            SaslError::CannotBeSaid
        );
        let token = account(Method::Token, "ada", "t");
        assert_eq!(
            said(&token, &[Plain, Login]).unwrap_err(),
            SaslError::NoMethod
        );
    }
}
