//! The tools. None of them stops anything.

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::service::RequestContext;
use rmcp::{Json, RoleServer, tool, tool_router};
use serde_json::{Value, json};

use crate::answers::{
    ABOUT_QUOTED, ChangeAnswer, ChangeLine, ChangesAnswer, CostsAnswer, Held, HeldAnswer, StepAnswer, WhoisAnswer, text,
};
use crate::api::{Api, ApiReply, ApiRequest, Caller, Unanswered, encoded};
use crate::arguments::{
    ChangesArguments, CostsArguments, FindingsArguments, HeldArguments, NameArguments, RegisterArguments,
    ReleaseArguments, WhoisArguments,
};
use crate::clipped::{clean, fitting};
use crate::server::Mcp;

/// What the registry replied instead of what was asked for, in words for a model.
#[derive(Debug)]
pub struct Refused(String);

impl rmcp::handler::server::tool::IntoCallToolResult for Refused {
    fn into_call_tool_result(self) -> Result<rmcp::model::CallToolResponse, rmcp::ErrorData> {
        Ok(CallToolResult::error(vec![ContentBlock::text(self.0)]).into())
    }
}

#[tool_router(vis = "pub(crate)")]
impl<A: Api> Mcp<A> {
    /// Find out which plugin holds a process, container, machine or endpoint. Ask this before you stop anything that
    /// you did not start: it may belong to someone else.
    #[tool(annotations(title = "Whose is this?", read_only_hint = true, open_world_hint = false))]
    pub async fn whois(
        &self,
        Parameters(asked): Parameters<WhoisArguments>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<WhoisAnswer>, Refused> {
        let names =
            [asked.pid.is_some(), asked.container_id.is_some(), asked.instance_id.is_some(), asked.endpoint.is_some()];
        if names.iter().filter(|given| **given).count() != 1 {
            return Err(Refused("give exactly one of pid, container_id, instance_id and endpoint".into()));
        }
        let query = [
            ("pid", asked.pid.map(|pid| pid.to_string().into())),
            ("container_id", asked.container_id.as_deref().map(Into::into)),
            ("instance_id", asked.instance_id.as_deref().map(Into::into)),
            ("endpoint", asked.endpoint.as_deref().map(Into::into)),
            ("host", asked.host.as_deref().map(Into::into)),
            ("limit", Some("50".into())),
        ];
        let reply = self.ask(ApiRequest::get("/resources", &query), &context).await?;
        let (holders, left_out) = fitting(rows(&reply.body).map(Held::read).collect(), asked.max_bytes);
        let advice = match holders.first() {
            None => {
                "No plugin of this registry holds it. This does not make it yours: ask its owner before you stop it."
            }
            Some(held) if held.finding.is_some() => {
                "A plugin holds it, and the registry has a finding about it. Call next_step before you do anything."
            }
            Some(_) => "A plugin holds it. Do not stop it; ask the plugin's owner.",
        };
        Ok(Json(WhoisAnswer {
            revision: reply.revision,
            held: !holders.is_empty(),
            advice: advice.into(),
            holders,
            left_out,
            about: ABOUT_QUOTED.into(),
        }))
    }

    /// List what plugins hold now: processes, containers and rented machines.
    #[tool(annotations(title = "What is held", read_only_hint = true, open_world_hint = false))]
    pub async fn list_held(
        &self,
        Parameters(asked): Parameters<HeldArguments>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<HeldAnswer>, Refused> {
        let query = [
            ("plugin", asked.plugin.as_deref().map(Into::into)),
            ("host", asked.host.as_deref().map(Into::into)),
            ("kind", asked.kind.map(|kind| kind.as_str().into())),
            ("billable", asked.billable.map(|billable| billable.to_string().into())),
            ("limit", Some("200".into())),
        ];
        let reply = self.ask(ApiRequest::get("/resources", &query), &context).await?;
        Ok(Json(held_answer(&reply, asked.max_bytes)))
    }

    /// List what needs care: orphans that may still run or bill, ghosts, reused ids, and what is overdue.
    #[tool(annotations(title = "What needs care", read_only_hint = true, open_world_hint = false))]
    pub async fn list_findings(
        &self,
        Parameters(asked): Parameters<FindingsArguments>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<HeldAnswer>, Refused> {
        let findings = match &asked.finding {
            Some(findings) if !findings.is_empty() => {
                findings.iter().map(|finding| finding.as_str()).collect::<Vec<_>>().join(",")
            }
            _ => "orphan,ghost,reused,overdue,unverified".to_owned(),
        };
        let query = [
            ("finding", Some(findings.into())),
            ("plugin", asked.plugin.as_deref().map(Into::into)),
            ("host", asked.host.as_deref().map(Into::into)),
            ("acknowledged", (!asked.acknowledged).then(|| "false".into())),
            ("limit", Some("200".into())),
        ];
        let reply = self.ask(ApiRequest::get("/resources", &query), &context).await?;
        Ok(Json(held_answer(&reply, asked.max_bytes)))
    }

    /// Read what to do about one finding: the evidence, the next safe step, and the request that ends it.
    #[tool(annotations(title = "What to do next", read_only_hint = true, open_world_hint = false))]
    pub async fn next_step(
        &self,
        Parameters(asked): Parameters<NameArguments>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<StepAnswer>, Refused> {
        let query = [
            ("plugin", Some(asked.plugin.as_str().into())),
            ("kind", Some(asked.kind.as_str().into())),
            ("host", asked.host.as_deref().map(Into::into)),
            ("limit", Some("10000".into())),
        ];
        let reply = self.ask(ApiRequest::get("/resources", &query), &context).await?;
        let row = rows(&reply.body).find(|row| row.get("id").and_then(Value::as_str) == Some(&asked.id));
        let Some(row) = row else {
            let (plugin, kind, id) = (clean(&asked.plugin), asked.kind.as_str(), clean(&asked.id));
            return Err(Refused(format!("{plugin} does not hold the {kind} {id}; list_held shows what is held")));
        };
        let next_step = text(row, "/evidence/next_step");
        Ok(Json(StepAnswer {
            revision: reply.revision,
            held: Held::read(row),
            next_step: next_step.unwrap_or_else(|| "Nothing is wrong with it, and nothing is to be done.".into()),
            next_request: row.pointer("/evidence/next_request").filter(|request| !request.is_null()).cloned(),
            cost_usd: row.pointer("/evidence/cost").filter(|cost| !cost.is_null()).cloned(),
            about: ABOUT_QUOTED.into(),
        }))
    }

    /// Record a process that you have started, so that others can see whose it is, and that it is found if you end
    /// before it does. Call this right after you have started it.
    #[tool(annotations(
        title = "Record a process",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    pub async fn register_process(
        &self,
        Parameters(asked): Parameters<RegisterArguments>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<ChangeAnswer>, Refused> {
        let plugin = format!("{}_{}", asked.category, asked.name);
        let path = format!("/plugins/{}", encoded(&plugin));
        let found = self.ask(ApiRequest::get(&path, &[]), &context).await;
        let request = match found {
            Ok(_) => ApiRequest::post(format!("{path}/spawned_pids"), json!({"spawned_pids": [asked.pid]})),
            Err(failure) if failure.is_not_found() => {
                let title = asked.title.as_deref().unwrap_or(&asked.name);
                let mut document = json!({
                    "category": asked.category, "name": asked.name, "title": title, "config_schema": {},
                    "execution_mode": "subprocess", "manages_child_processes": true, "spawned_pids": [asked.pid],
                });
                if let Some(fields) = document.as_object_mut() {
                    fields.extend(asked.host.map(|host| ("host".into(), host.into())));
                    fields.extend(asked.lease_id.map(|lease| ("lease_id".into(), lease.into())));
                }
                ApiRequest::post("/plugins".into(), document)
            }
            Err(failure) => return Err(failure.into()),
        };
        let reply = self.ask(request, &context).await?;
        let done = format!("the process {} is recorded; release it once it has ended", asked.pid);
        Ok(Json(ChangeAnswer { revision: reply.revision, plugin: clean(&plugin), done }))
    }

    /// Tell the registry that something is no longer held. This stops nothing: call it only after the process has
    /// ended or the machine was returned, or the registry forgets something that may still run or bill.
    #[tool(annotations(
        title = "Release what has ended",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    pub async fn release(
        &self,
        Parameters(asked): Parameters<ReleaseArguments>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<ChangeAnswer>, Refused> {
        let mut name = json!({"plugin": asked.plugin, "kind": asked.kind.as_str(), "id": asked.id});
        if let (Some(fields), Some(host)) = (name.as_object_mut(), asked.host) {
            fields.insert("host".into(), host.into());
        }
        let path = if asked.dry_run { "/resources/release?dry_run=true" } else { "/resources/release" };
        let request = ApiRequest::post(path.into(), json!({"resources": [name]})).because(asked.reason);
        let reply = self.ask(request, &context).await?;
        let item = rows(&reply.body).next().unwrap_or(&Value::Null);
        if let Some(problem) = text(item, "/problem/detail") {
            return Err(Refused(problem));
        }
        let done = if asked.dry_run { "it would be released; nothing was changed" } else { "it is released" };
        let revision = item.get("revision").and_then(Value::as_u64).or(reply.revision);
        Ok(Json(ChangeAnswer { revision, plugin: clean(&asked.plugin), done: done.into() }))
    }

    /// Read what plugins cost, by the prices that they declared. No provider was asked for its bill.
    #[tool(annotations(title = "What it costs", read_only_hint = true, open_world_hint = false))]
    pub async fn costs(
        &self,
        Parameters(asked): Parameters<CostsArguments>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<CostsAnswer>, Refused> {
        let query = [
            ("from", asked.from.as_deref().map(Into::into)),
            ("to", asked.to.as_deref().map(Into::into)),
            ("group_by", asked.group_by.as_deref().map(Into::into)),
        ];
        let ApiReply { revision, body, .. } = self.ask(ApiRequest::get("/costs", &query), &context).await?;
        let groups = body.pointer("/groups").and_then(Value::as_array).cloned().unwrap_or_default();
        let (groups, left_out) = fitting(groups.into_iter().map(cleaned_key).collect(), asked.max_bytes);
        let figure = |pointer| body.pointer(pointer).filter(|figure| !figure.is_null()).cloned();
        Ok(Json(CostsAnswer {
            revision,
            burn_usd_per_hour: figure("/burn_usd_per_hour"),
            billable: figure("/billable"),
            unpriced: figure("/unpriced"),
            accrued: figure("/accrued"),
            quoted_groups: groups,
            left_out,
            about: format!("Estimates from declared prices. {ABOUT_QUOTED}"),
        }))
    }

    /// List the newest changes, the newest first. Each has its time and the caller who asked for it.
    #[tool(annotations(title = "What has changed", read_only_hint = true, open_world_hint = false))]
    pub async fn recent_changes(
        &self,
        Parameters(asked): Parameters<ChangesArguments>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<ChangesAnswer>, Refused> {
        let query = [
            ("order", Some("desc".into())),
            ("limit", Some("100".into())),
            ("plugin", asked.plugin.as_deref().map(Into::into)),
            ("after", asked.after_revision.map(|revision| revision.to_string().into())),
        ];
        let reply = self.ask(ApiRequest::get("/events", &query), &context).await?;
        let (items, left_out) = fitting(rows(&reply.body).map(ChangeLine::read).collect(), asked.max_bytes);
        Ok(Json(ChangesAnswer { revision: reply.revision, items, left_out, has_more: has_more(&reply.body) }))
    }

    /// Sends a request as the caller.
    pub(crate) async fn ask(
        &self,
        request: ApiRequest,
        context: &RequestContext<RoleServer>,
    ) -> Result<ApiReply, Failure> {
        let caller: Caller = context.extensions.get::<http::request::Parts>().cloned();
        match self.api.send(request, caller).await {
            Ok(reply) if reply.status.is_success() => Ok(reply),
            Ok(reply) => Err(Failure::Refused { status: reply.status, body: reply.body }),
            Err(Unanswered(words)) => Err(Failure::Unanswered(words)),
        }
    }
}

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A reply that is no success.
    Refused {
        /// The status of the reply.
        status: http::StatusCode,
        /// The problem document.
        body: Value,
    },
    /// No reply, and what mends it.
    Unanswered(String),
}

impl Failure {
    /// Returns true if and only if what was asked for does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Failure::Refused { status: http::StatusCode::NOT_FOUND, .. })
    }

    /// The problem in words.
    pub(crate) fn words(&self) -> String {
        let (status, body) = match self {
            Failure::Refused { status, body } => (status, body),
            Failure::Unanswered(words) => return words.clone(),
        };
        let title = text(body, "/title").unwrap_or_else(|| status.to_string());
        match text(body, "/detail") {
            Some(detail) => format!("{title}: {detail}"),
            None => title,
        }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        match failure {
            Failure::Refused { .. } => Refused(format!("the registry refused: {}", failure.words())),
            Failure::Unanswered(words) => Refused(words),
        }
    }
}

fn held_answer(reply: &ApiReply, max_bytes: Option<u32>) -> HeldAnswer {
    let (items, left_out) = fitting(rows(&reply.body).map(Held::read).collect(), max_bytes);
    let has_more = has_more(&reply.body);
    HeldAnswer { revision: reply.revision, items, left_out, has_more, about: ABOUT_QUOTED.into() }
}

fn rows(page: &Value) -> impl Iterator<Item = &Value> {
    page.get("items").and_then(Value::as_array).into_iter().flatten()
}

fn has_more(page: &Value) -> bool {
    page.get("next_cursor").is_some_and(|cursor| !cursor.is_null())
}

/// A group with its key fit to be shown.
fn cleaned_key(mut group: Value) -> Value {
    if let Some(key) = group.get_mut("key") {
        *key = key.as_str().map(clean).into();
    }
    group
}
