//! Signing in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::line::Word;
use super::session::{Answer, Connection, End, argument};

impl Connection<'_> {
    pub(super) fn log_in(&mut self, user: &str, password: &str) -> Answer {
        let Some(account) = self.server.mail().authenticate(user, password) else {
            return Answer::no("[AUTHENTICATIONFAILED] no");
        };
        self.account = Some(account);
        if self.server.offers().tells_capabilities {
            let told = format!("OK [CAPABILITY {}] welcome", self.capabilities());
            Answer::ok("").saying(told)
        } else {
            Answer::ok("").saying("OK welcome")
        }
    }

    pub(super) async fn authenticate(&mut self, arguments: &[Word]) -> Result<Answer, End> {
        let offers = self.server.offers();
        let mechanism = argument(arguments, 0).to_ascii_uppercase();
        let known = match mechanism.as_str() {
            "PLAIN" => offers.plain,
            "XOAUTH2" => offers.xoauth2,
            "OAUTHBEARER" => offers.oauth_bearer,
            _ => false,
        };
        if !known {
            return Ok(Answer::no("[CANNOT] unknown mechanism"));
        }
        let message = match arguments.get(1) {
            Some(initial) if offers.sasl_ir => initial.text(),
            Some(_) => return Ok(Answer::bad("too much")),
            None => {
                self.write(b"+ \r\n").await?;
                String::from_utf8_lossy(&self.command().await?).into_owned()
            }
        };
        let decoded = STANDARD.decode(&message).unwrap_or_default();
        let decoded = String::from_utf8_lossy(&decoded).into_owned();
        if mechanism == "PLAIN" {
            let mut parts = decoded.split('\0').skip(1);
            let (user, password) = (parts.next(), parts.next());
            return Ok(self.log_in(user.unwrap_or_default(), password.unwrap_or_default()));
        }
        let part = |name: &str| {
            let parts = decoded.split(['\x01', ',']);
            let mut found = parts.filter_map(|part| part.strip_prefix(name));
            found.next().unwrap_or_default().to_owned()
        };
        let user = match mechanism.as_str() {
            "XOAUTH2" => part("user="),
            _ => part("a=").replace("=2C", ",").replace("=3D", "="),
        };
        let answer = self.log_in(&user, &part("auth=Bearer "));
        if self.account.is_none() {
            // The reason first; the client acknowledges it.
            self.write(b"+ eyJzdGF0dXMiOiI0MDEifQ==\r\n").await?;
            self.command().await?;
        }
        Ok(answer)
    }
}
