//! JSON-RPC messages, parsed as far as they name the requested operation.

use core::fmt;
use core::marker::PhantomData;
use std::borrow::Cow;

use http::HeaderMap;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::headers::RepeatedNames;
use crate::unreadable::UnreadableRequest;

/// Operation that one message of a request asks for, borrowed from its body.
///
/// Use [`Operation`](crate::Operation) to keep one longer than the body.
///
/// # Examples
///
/// ```
/// use http::HeaderMap;
/// use scope_stepup::RequestedOperation;
///
/// let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list-files"}}"#;
/// let operations = RequestedOperation::of_request(&HeaderMap::new(), body)?;
/// assert_eq!((operations[0].method(), operations[0].name()), ("tools/call", Some("list-files")));
/// # Ok::<(), scope_stepup::UnreadableRequest>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestedOperation<'a> {
    method: Cow<'a, str>,
    /// Parameter that `Mcp-Name` repeats.
    name: Option<Cow<'a, str>>,
    named: Vec<Self>,
}

impl<'a> RequestedOperation<'a> {
    /// Returns the operation of every message of a request.
    ///
    /// The rules are those of [`Operation::of_request`](crate::Operation::of_request).
    ///
    /// # Errors
    ///
    /// [`UnreadableRequest`] when the body is not JSON-RPC, or a header disagrees with it.
    pub fn of_request(headers: &HeaderMap, body: &'a [u8]) -> Result<Vec<Self>, UnreadableRequest> {
        let messages = messages(body)?;
        if let Some(repeated) = RepeatedNames::from_headers(headers)? {
            for asked in &messages {
                repeated.check(&asked.method, asked.name.as_deref())?;
            }
        }
        Ok(messages)
    }

    /// Returns the JSON-RPC method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns the name of the tool or prompt, or the URI of the resource.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        // A task's identifier distinguishes tasks, not the operations on them.
        self.name.as_deref().filter(|_| !self.method.starts_with("tasks/"))
    }

    /// Returns the operations that the other parameters imply; authorize them together with this one.
    ///
    /// | method | parameter | operations |
    /// |---|---|---|
    /// | `subscriptions/listen` | `notifications.resourceSubscriptions` | `resources/subscribe`, `resources/read` |
    /// | `completion/complete` | `ref.name`, `ref.uri` | `prompts/get`, `resources/read` |
    #[must_use]
    pub fn named(&self) -> &[Self] {
        &self.named
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    method: Option<Text<'a>>,
    #[serde(borrow, default)]
    params: Option<Object<Params<'a>>>,
    #[serde(default, deserialize_with = "there")]
    result: bool,
    #[serde(default, deserialize_with = "there")]
    error: bool,
}

/// Deserializes a member of any value as `true`.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    uri: Option<Text<'a>>,
    #[serde(borrow, default, rename = "taskId")]
    task_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    notifications: Option<Known<Filter<'a>>>,
    #[serde(borrow, default, rename = "ref")]
    reference: Option<Known<Reference<'a>>>,
}

/// Resources that a subscription listens to.
#[derive(Deserialize)]
struct Filter<'a> {
    #[serde(borrow, default, rename = "resourceSubscriptions")]
    resources: Option<Vec<Text<'a>>>,
}

/// Subject of an argument completion: a prompt by name, or resources by their URI template.
#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    uri: Option<Text<'a>>,
}

/// Parameter that only one method defines; for other methods any form is accepted.
#[derive(Deserialize)]
#[serde(untagged)]
enum Known<T> {
    #[serde(bound = "T: Deserialize<'de>")]
    Object(Object<T>),
    Other(IgnoredAny),
}

impl<T> Known<T> {
    /// Returns the parameter for the method that defines it.
    fn of(parameter: Option<Self>) -> Result<Option<T>, UnreadableRequest> {
        match parameter {
            None => Ok(None),
            Some(Self::Object(Object(known))) => Ok(Some(known)),
            Some(Self::Other(_)) => Err(UnreadableRequest::Body),
        }
    }
}

/// Text that is borrowed if it has no escapes.
///
/// A bare `Cow` inside an `Option` would be copied by serde.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// JSON object; without this type serde also accepts an array for a struct, member by member.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// Operations of the messages of a batch.
struct Batch<'a>(Vec<RequestedOperation<'a>>);

/// Most messages of a batch.
///
/// The older revisions that define batches name no limit; a body of countless tiny messages is no legitimate request.
const MAX_BATCH: usize = 100;

/// Most resources that one subscription names, because each is looked up.
const MAX_SUBSCRIBED: usize = 1_000;

impl<'de> Deserialize<'de> for Batch<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Messages;
        impl<'de> Visitor<'de> for Messages {
            type Value = Batch<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a batch of JSON-RPC messages")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<Batch<'de>, A::Error> {
                let (mut asked, mut count) = (Vec::new(), 0);
                while let Some(Object(message)) = messages.next_element::<Object<Message<'_>>>()? {
                    count += 1;
                    if count > MAX_BATCH {
                        return Err(A::Error::custom("too many messages"));
                    }
                    asked.extend(read(message).map_err(A::Error::custom)?);
                }
                if count == 0 { Err(A::Error::custom("no message")) } else { Ok(Batch(asked)) }
            }
        }
        deserializer.deserialize_seq(Messages)
    }
}

/// Returns the operation of each message of a body; responses have none and are left out.
pub(crate) fn messages(body: &[u8]) -> Result<Vec<RequestedOperation<'_>>, UnreadableRequest> {
    let bad = |_| UnreadableRequest::Body;
    // UTF-8 is validated once for the whole body, because serde would validate each text separately.
    let body = core::str::from_utf8(body).map_err(|_| UnreadableRequest::Body)?;
    if body.trim_ascii_start().starts_with('[') {
        let Batch(asked) = serde_json::from_str(body).map_err(bad)?;
        return Ok(asked);
    }
    let Object(message) = serde_json::from_str(body).map_err(bad)?;
    Ok(read(message)?.into_iter().collect())
}

/// Returns the operation of one message; `None` for a response.
///
/// A message that is neither request nor response is an error.
fn read(message: Message<'_>) -> Result<Option<RequestedOperation<'_>>, UnreadableRequest> {
    let Some(Text(method)) = message.method else {
        let is_answer = message.result || message.error;
        return if is_answer { Ok(None) } else { Err(UnreadableRequest::Body) };
    };
    let Some(Object(mut params)) = message.params else {
        return Ok(Some(RequestedOperation { method, name: None, named: Vec::new() }));
    };
    let named = named(&method, &mut params)?;
    let name = match &*method {
        "tools/call" | "prompts/get" => params.name,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => params.uri,
        "tasks/get" | "tasks/update" | "tasks/cancel" => params.task_id,
        _ => None,
    };
    Ok(Some(RequestedOperation { method, name: name.map(|Text(name)| name), named }))
}

/// Returns the operations that the parameters imply beside the method's own name.
fn named<'a>(
    method: &str,
    params: &mut Params<'a>,
) -> Result<Vec<RequestedOperation<'a>>, UnreadableRequest> {
    let operation = |method, Text(name): Text<'a>| RequestedOperation {
        method: Cow::Borrowed(method),
        name: Some(name),
        named: Vec::new(),
    };
    Ok(match method {
        "subscriptions/listen" => {
            let filter = Known::of(params.notifications.take())?;
            let resources = filter.and_then(|filter| filter.resources).unwrap_or_default();
            if resources.len() > MAX_SUBSCRIBED {
                return Err(UnreadableRequest::Body);
            }
            let each = resources.into_iter().flat_map(|Text(uri)| {
                [("resources/subscribe", uri.clone()), ("resources/read", uri)]
            });
            each.map(|(method, uri)| operation(method, Text(uri))).collect()
        }
        "completion/complete" => {
            let Some(reference) = Known::of(params.reference.take())? else {
                return Ok(Vec::new());
            };
            let prompt = reference.name.map(|name| operation("prompts/get", name));
            let resource = reference.uri.map(|uri| operation("resources/read", uri));
            prompt.into_iter().chain(resource).collect()
        }
        _ => Vec::new(),
    })
}
