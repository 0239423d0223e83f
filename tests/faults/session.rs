//! One client alone with the server, which therefore knows exactly what every reply must be, unless it is 503.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::client::{Answer, Client, Reply};
use crate::content::{Content, registration, three_pids};
use crate::observer::Observer;
use crate::violation::Violation;
use crate::writer::{CATEGORY, unique_id};

/// A write. Sizes are how often a token of about ten bytes is repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Register(&'static str, usize),
    RegisterWithPids(&'static str, usize),
    PutPids(&'static str),
    Delete(&'static str),
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// 503: nothing changed.
    Refused,
    /// The server is gone; whether anything changed is open.
    Broken,
}

pub(crate) struct Session {
    client: Client,
    observer: Arc<Observer>,
    /// What stands, by name.
    standing: BTreeMap<&'static str, Content>,
    /// The revision of the last change.
    head: u64,
}

impl Session {
    /// With a server whose store is empty.
    pub(crate) fn new(client: Client, observer: &Arc<Observer>) -> Session {
        Session { client, observer: observer.clone(), standing: BTreeMap::new(), head: 0 }
    }

    /// The revision of the last acknowledged change.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Writes, and reads what stands afterwards.
    ///
    /// # Errors
    /// When a reply is anything but the right one or 503, and when a read shows anything but what was acknowledged.
    pub(crate) async fn take(&mut self, step: Step) -> Result<Outcome, Violation> {
        let outcome = self.write(step).await.map_err(|violation| violation.during(step))?;
        if outcome != Outcome::Broken {
            self.check_list().await.map_err(|violation| violation.during((step, outcome)))?;
        }
        Ok(outcome)
    }

    /// Writes, and reads nothing but the reply.
    ///
    /// # Errors
    /// When the reply is anything but the right one or 503.
    pub(crate) async fn write(&mut self, step: Step) -> Result<Outcome, Violation> {
        let number = self.observer.number();
        match step {
            Step::Register(name, repeats) => {
                let pids = self.standing.get(name).map_or(Vec::new(), |content| content.pids.clone());
                let content = Content { token: format!("token-{number}"), pids };
                let body = registration(CATEGORY, name, &content.token, repeats);
                self.register(name, content, &body).await
            }
            Step::RegisterWithPids(name, repeats) => {
                let content = Content { token: format!("token-{number}"), pids: three_pids(number) };
                let mut body = registration(CATEGORY, name, &content.token, repeats);
                body["spawned_pids"] = content.pids.clone().into();
                self.register(name, content, &body).await
            }
            Step::PutPids(name) => {
                let pids = three_pids(number);
                let reply = self.client.put_pids(&unique_id(name), &pids).await?;
                match self.standing.get(name) {
                    Some(Content { token, .. }) => {
                        self.changed(reply, 200, name, Content { token: token.clone(), pids })
                    }
                    None => unknown(&reply),
                }
            }
            Step::Delete(name) => {
                let reply = self.client.delete(&unique_id(name)).await?;
                if self.standing.contains_key(name) { self.removed(&reply, name) } else { unknown(&reply) }
            }
        }
    }

    async fn register(&mut self, name: &'static str, content: Content, body: &Value) -> Result<Outcome, Violation> {
        let status = if self.standing.contains_key(name) { 200 } else { 201 };
        let reply = self.client.register(body).await?;
        self.changed(reply, status, name, content)
    }

    /// The right reply to a write is `status`, with the new content at the next revision.
    fn changed(
        &mut self,
        reply: Reply,
        status: u16,
        name: &'static str,
        content: Content,
    ) -> Result<Outcome, Violation> {
        let answer = match reply {
            Reply::Answer(answer) => answer,
            Reply::Unavailable => return Ok(Outcome::Refused),
            Reply::Broken => return Ok(Outcome::Broken),
        };
        check_document(&answer.body, name, &content)?;
        let revision = answer.body.get("revision").and_then(Value::as_u64);
        if answer.status != status || revision != Some(self.head + 1) || answer.revision != self.head + 1 {
            return Err(wrong(&answer, &format!("not {status} with the revision {}", self.head + 1)));
        }
        self.observer.wrote_document(&answer.body, answer.revision)?;
        self.standing.insert(name, content);
        self.head += 1;
        Ok(Outcome::Done)
    }

    fn removed(&mut self, reply: &Reply, name: &'static str) -> Result<Outcome, Violation> {
        match reply {
            Reply::Answer(answer) if answer.status == 204 && answer.revision == self.head + 1 => {
                self.observer.removed(&unique_id(name), self.head, self.head + 1)?;
                self.standing.remove(name);
                self.head += 1;
                Ok(Outcome::Done)
            }
            Reply::Answer(answer) => Err(wrong(answer, &format!("not 204 with the revision {}", self.head + 1))),
            Reply::Unavailable => Ok(Outcome::Refused),
            Reply::Broken => Ok(Outcome::Broken),
        }
    }

    /// Checks that the server lists exactly what stands, at the revision of the last change.
    pub(crate) async fn check_list(&self) -> Result<(), Violation> {
        let Reply::Answer(answer) = self.client.list().await? else {
            return Err(Violation::WrongReply("503 to a read, or none".into()));
        };
        let items = answer.body.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        self.observer.read_list(answer.revision, items)?;
        if answer.revision != self.head || items.len() != self.standing.len() {
            return Err(wrong(&answer, &format!("not {} plugins at revision {}", self.standing.len(), self.head)));
        }
        for (name, content) in &self.standing {
            let of_name = |item: &&Value| item.get("name").and_then(Value::as_str) == Some(name);
            let item = items.iter().find(of_name).ok_or_else(|| wrong(&answer, &format!("without {name}")))?;
            check_document(item, name, content)?;
        }
        Ok(())
    }
}

fn check_document(document: &Value, name: &str, content: &Content) -> Result<(), Violation> {
    let found = Content::of(document).map_err(Violation::Half)?;
    if found == *content && document.get("unique_id").and_then(Value::as_str) == Some(&unique_id(name)) {
        return Ok(());
    }
    Err(Violation::WrongReply(format!("{name} should be {content:?}, but is {found:?}")))
}

/// The right reply about a plugin that is not there.
fn unknown(reply: &Reply) -> Result<Outcome, Violation> {
    match reply {
        Reply::Answer(answer) if answer.status == 404 => Ok(Outcome::Done),
        Reply::Answer(answer) => Err(wrong(answer, "not 404")),
        Reply::Unavailable => Ok(Outcome::Refused),
        Reply::Broken => Ok(Outcome::Broken),
    }
}

fn wrong(answer: &Answer, why: &str) -> Violation {
    Violation::WrongReply(format!("{why}: {answer:?}").chars().take(2000).collect())
}
