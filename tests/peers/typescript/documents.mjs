// OAuth documents of the TypeScript SDK, releases 1.x and 2.x.
//
//   node documents.mjs write DIR   the documents that the SDK produces, the same bytes each time
//   node documents.mjs read DIR    whether the SDK reads each `<kind>.<case>.json` in DIR

import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

import * as client2 from "@modelcontextprotocol/client";
import * as core2 from "@modelcontextprotocol/core";
import * as express2 from "@modelcontextprotocol/express";
import * as client1 from "@modelcontextprotocol/sdk/client/auth.js";
import * as errors1 from "@modelcontextprotocol/sdk/server/auth/errors.js";
import * as metadata1 from "@modelcontextprotocol/sdk/server/auth/handlers/metadata.js";
import * as register1 from "@modelcontextprotocol/sdk/server/auth/handlers/register.js";
import * as router1 from "@modelcontextprotocol/sdk/server/auth/router.js";
import * as shared1 from "@modelcontextprotocol/sdk/shared/auth.js";
import * as legacy2 from "@modelcontextprotocol/server-legacy/auth";

import { SAMPLES } from "./samples.mjs";
import { adapterAnswers, answers } from "./servers.mjs";

const RELEASES = [
  {
    name: "v1",
    schemas: shared1,
    client: client1,
    server: { ...errors1, ...metadata1, ...register1, ...router1 },
  },
  { name: "v2", schemas: core2, client: client2, server: legacy2, adapter: express2 },
];

const SCHEMAS = {
  "authorization-server-metadata": "OAuthMetadataSchema",
  "openid-metadata": "OpenIdProviderDiscoveryMetadataSchema",
  "protected-resource-metadata": "OAuthProtectedResourceMetadataSchema",
  "client-metadata": "OAuthClientMetadataSchema",
  "registration-answer": "OAuthClientInformationFullSchema",
  "token-response": "OAuthTokensSchema",
  "token-error": "OAuthErrorResponseSchema",
};

/** Registered members that a schema does not declare and therefore drops. */
const DROPPED = {
  v1: {
    "openid-metadata": [
      "authorization_response_iss_parameter_supported",
      "introspection_endpoint",
      "revocation_endpoint",
    ],
    "client-metadata": ["application_type"],
    "registration-answer": ["application_type"],
  },
  v2: { "openid-metadata": ["introspection_endpoint", "revocation_endpoint"] },
};

/** Whether a schema may lose this member: an extension, or a name of the list above. */
function mayDrop(release, kind, schema, member) {
  const declared = Object.hasOwn(schema.shape, member);
  const extension = /^x_|#/.test(member);
  return !declared && (extension || (DROPPED[release.name][kind] ?? []).includes(member));
}

async function write(folder) {
  await mkdir(folder, { recursive: true });
  const documents = new Map();
  for (const release of RELEASES) {
    const emit = (kind, name, text) => {
      const file = `${kind}.${release.name}-${name}.json`;
      if (documents.has(file)) throw new Error(`${file} is written twice`);
      documents.set(file, `${text}\n`);
    };
    for (const [kind, cases] of Object.entries(SAMPLES)) {
      const schema = release.schemas[SCHEMAS[kind]];
      for (const [name, sample] of Object.entries(cases)) {
        emit(kind, `schema-${name}`, JSON.stringify(schema.parse(sample)));
      }
    }
    const metadata = SAMPLES["authorization-server-metadata"].unknown;
    await answers(release.server, metadata, emit);
    if (release.adapter) await adapterAnswers(release.adapter, metadata, emit);
    await registrations(release.client, emit);
  }
  for (const [file, text] of documents) await writeFile(join(folder, file), text);
  console.log(`${documents.size} documents written`);
}

/** The bodies that the SDK's client posts to a registration endpoint. */
async function registrations(client, emit) {
  const { minimal, full } = SAMPLES["client-metadata"];
  for (const [name, clientMetadata, scope] of [
    ["minimal", minimal],
    ["full", full, "files:read"],
  ]) {
    let body;
    const fetchFn = async (_url, init) => {
      body = init.body;
      return Response.json({ ...clientMetadata, client_id: "client-1" }, { status: 201 });
    };
    await client.registerClient("https://as.example", { clientMetadata, scope, fetchFn });
    emit("client-metadata", `client-${name}`, body);
  }
}

async function read(folder) {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".json")).sort();
  const failures = [];
  const dropped = new Set();
  for (const file of files) {
    const kind = file.split(".", 1)[0];
    if (!Object.hasOwn(SCHEMAS, kind)) {
      failures.push(`${file}: no schema reads this kind`);
      continue;
    }
    const document = JSON.parse(await readFile(join(folder, file), "utf8"));
    for (const release of RELEASES) {
      const schema = release.schemas[SCHEMAS[kind]];
      const { success, data, error } = schema.safeParse(document);
      if (!success) {
        for (const { path, message } of error.issues) {
          failures.push(`${file}: ${release.name} refuses ${path.join(".") || "it"}: ${message}`);
        }
        continue;
      }
      for (const [member, value] of Object.entries(document)) {
        if (isDeepStrictEqual(data[member], value)) continue;
        if (Object.hasOwn(data, member) || !mayDrop(release, kind, schema, member)) {
          const becomes = JSON.stringify(data[member]) ?? "nothing";
          failures.push(`${file}: in ${release.name} ${member} becomes ${becomes}`);
        } else {
          dropped.add(`${release.name} ${kind} ${member}`);
        }
      }
    }
  }
  for (const it of dropped) console.log(`not declared, so dropped: ${it}`);
  if (files.length === 0) failures.push("no document to read");
  for (const failure of failures) console.error(failure);
  console.log(`${files.length} documents, ${failures.length} failures`);
  if (failures.length > 0) process.exitCode = 1;
}

const [command, folder] = process.argv.slice(2);
if (command === "write" && folder) await write(folder);
else if (command === "read" && folder) await read(folder);
else {
  console.error("usage: node documents.mjs write|read DIR");
  process.exitCode = 2;
}
