//! A server that has `http` requests and no framework: one function before each tool.

use std::collections::HashMap;
use std::sync::Arc;

use http::{Request, Response};
use oauth_types::{SecretDigest, UnixTime};
use resource_server::{AccessTokenInfo, OperationScopes, Resource};
use scope_stepup::NoHierarchy;

/// The server, and the tokens that it knows.
pub struct Server {
    resource: Resource,
    scopes: OperationScopes,
    tokens: HashMap<SecretDigest, Arc<AccessTokenInfo>>,
}

impl Server {
    /// Answers a tool call, or says what is missing.
    pub fn answer(&self, request: &Request<Vec<u8>>, now: UnixTime) -> Response<String> {
        let allowed = self.resource.present(request, self.scopes.base()).and_then(|presented| {
            let required = self.scopes.required_for(request.headers(), request.body())?;
            let facts = self.tokens.get(&presented.digest()).cloned();
            presented.decide(facts, &required, &NoHierarchy, now)
        });
        match allowed {
            Ok(granted) => Response::new(format!("done for {}", granted.subject())),
            Err(denial) => denial.into_response().map(|_| String::new()),
        }
    }
}

#[test]
fn a_tool_needs_a_token_with_its_scope() -> Result<(), Box<dyn std::error::Error>> {
    use oauth_types::{ClientId, Issuer, ResourceUri, ScopeSet, Secret, Subject};

    let issuer = Issuer::parse("https://as.example")?;
    let uri = ResourceUri::parse("https://rs.example/mcp")?;
    let facts =
        AccessTokenInfo::new(Subject::parse("alice")?, ClientId::parse("c1")?, issuer.clone())
            .with_scopes(ScopeSet::parse("files:read")?)
            .with_audience([uri.clone()])
            .with_expires_at(UnixTime::from_secs(600));
    let server = Server {
        resource: Resource::new(uri, vec![issuer])?,
        scopes: OperationScopes::new("files:read")?
            .tool("read", "files:read")?
            .tool("write", "files:write")?,
        tokens: HashMap::from([(Secret::new("abc").digest(), Arc::new(facts))]),
    };
    let call = |tool, token, now| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}"}}}}"#
        );
        let request =
            Request::post("/mcp").header("authorization", token).body(body.into_bytes()).unwrap();
        server.answer(&request, UnixTime::from_secs(now))
    };
    assert_eq!(call("read", "Bearer abc", 0).body(), "done for alice");
    assert_eq!(call("write", "Bearer abc", 0).status(), 403);
    assert_eq!(call("read", "Bearer abc", 600).status(), 401);
    assert_eq!(call("read", "Bearer xyz", 0).status(), 401);
    Ok(())
}
