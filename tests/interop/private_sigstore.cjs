// A private sigstore on loopback: the authorities of @sigstore/mock behind the HTTP interfaces that cosign speaks.
//
//   node private_sigstore.cjs NODE_MODULES_PARENT OUT
//
// Serves Fulcio, Rekor v1, Rekor v2 and a timestamp authority at one address, with a CT log inside Fulcio,
// writes their trust into OUT (trusted_root.json, and the same singly as PEM), and then prints one line: the address.
// Ends when its standard input does. Nothing is checked: any identity token gets the certificate that its claims ask for.
'use strict';

const { createHash, generateKeyPairSync, randomInt, sign } = require('node:crypto');
const { mkdirSync, writeFileSync } = require('node:fs');
const http = require('node:http');
const { createRequire } = require('node:module');
const path = require('node:path');

const [installed, out] = process.argv.slice(2);
const installedRequire = createRequire(path.resolve(installed, 'index.js'));
const mock = installedRequire('@sigstore/mock');
// The mock's own dependencies: to read timestamp requests in DER, which it does not, and for RFC 8785.
const mockRequire = createRequire(installedRequire.resolve('@sigstore/mock'));
const asn1js = mockRequire('asn1js');
const canonicalize = mockRequire('canonicalize');
const pkijs = mockRequire('pkijs');

const START = '2020-01-01T00:00:00Z';
const BODY_LIMIT = 4 * 1024 * 1024;
const ec = (namedCurve) => generateKeyPairSync('ec', { namedCurve });
const spki = (pair) => pair.publicKey.export({ format: 'der', type: 'spki' });
const sha256 = (data) => createHash('sha256').update(data).digest();
const hashOf = (data) => ({ algorithm: 'sha256', value: sha256(data).toString('hex') });
const pem = (der, label) => `-----BEGIN ${label}-----\n${der.toString('base64').match(/.{1,64}/g).join('\n')}\n-----END ${label}-----\n`;
const json = (statusCode, document) => ({ statusCode, contentType: 'application/json', response: JSON.stringify(document) });

// --- Rekor v1: the mock logs what it is sent, Rekor its canonical form (rekor/pkg/types) ---------------------------
function canonicalEntry(proposed) {
  const { kind, apiVersion, spec } = proposed;
  if (kind === 'dsse') {
    const { envelope, verifiers } = spec.proposedContent;
    const parsed = JSON.parse(envelope);
    return {
      kind,
      apiVersion,
      spec: {
        envelopeHash: hashOf(envelope),
        payloadHash: hashOf(Buffer.from(parsed.payload, 'base64')),
        signatures: parsed.signatures.map(({ sig }, at) => ({ signature: sig, verifier: verifiers[at] })),
      },
    };
  }
  if (kind === 'intoto' && apiVersion === '0.0.2') {
    const { envelope, ...content } = spec.content;
    const { payload, ...stored } = envelope;
    return { kind, apiVersion, spec: { content: { ...content, envelope: stored } } };
  }
  return proposed;
}

// --- Rekor v2 (rekor-tiles): the mock logs the request, Rekor the entry made from it; a tree of one leaf -----------
function rekorV2(host) {
  const pair = generateKeyPairSync('ed25519');
  const raw = spki(pair).subarray(-32);
  const keyId = sha256(Buffer.concat([Buffer.from(`${host}\n\x01`), raw])); // C2SP signed-note
  const add = (request) => {
    const { digest, signature } = request.hashedRekordRequestV002;
    const hash = { 48: 'SHA2_384', 64: 'SHA2_512' }[Buffer.from(digest, 'base64').length] ?? 'SHA2_256';
    const spec = { hashedRekordV002: { data: { algorithm: hash, digest }, signature } };
    const body = Buffer.from(canonicalize({ apiVersion: '0.0.2', kind: 'hashedrekord', spec }));
    const rootHash = sha256(Buffer.concat([Buffer.from([0]), body]));
    const note = `${host}\n1\n${rootHash.toString('base64')}\n`;
    const line = Buffer.concat([keyId.subarray(0, 4), sign(null, Buffer.from(note), pair.privateKey)]);
    return {
      logIndex: '0',
      logId: { keyId: keyId.toString('base64') },
      kindVersion: { kind: 'hashedrekord', version: '0.0.2' },
      integratedTime: '0',
      inclusionProof: {
        logIndex: '0',
        treeSize: '1',
        rootHash: rootHash.toString('base64'),
        hashes: [],
        checkpoint: { envelope: `${note}\n\u2014 ${host} ${line.toString('base64')}\n` },
      },
      canonicalizedBody: body.toString('base64'),
    };
  };
  return { add, keyId, publicKey: spki(pair) };
}

// --- the timestamp authority: the mock reads JSON, cosign sends RFC 3161's DER -------------------------------------
function derTimestamps(tsa) {
  const tstInfo = tsa.tstInfo.bind(tsa);
  tsa.tstInfo = (request) => {
    const info = tstInfo(request);
    info.nonce = request.derNonce;
    info.serialNumber = new asn1js.Integer({ value: randomInt(2 ** 31) });
    return info;
  };
  return async (body) => {
    const asked = pkijs.TimeStampReq.fromBER(body);
    const response = await tsa.timestamp({
      artifactHash: Buffer.from(asked.messageImprint.hashedMessage.valueBlock.valueHexView),
      hashAlgorithmOID: asked.messageImprint.hashAlgorithm.algorithmId,
      policyOID: '1.3.6.1.4.1.57264.2',
      nonce: 0,
      derNonce: asked.nonce,
      certReq: asked.certReq ?? false,
    });
    return { statusCode: 201, contentType: 'application/timestamp-reply', response };
  };
}

// --- Fulcio: the mock wants the identity token in the body, cosign sends it as a header --------------------------
const withToken = (body, headers) => {
  const request = JSON.parse(body);
  const oidcIdentityToken = headers.authorization?.replace(/^Bearer /, '');
  return JSON.stringify(oidcIdentityToken ? { ...request, credentials: { oidcIdentityToken } } : request);
};

async function main() {
  const keys = { ca: ec('secp384r1'), ct: ec('prime256v1'), rekor: ec('prime256v1'), tsa: ec('secp384r1') };
  const server = http.createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${server.address().port}`;

  const ctlog = await mock.initializeCTLog(keys.ct);
  const ca = await mock.initializeCA(keys.ca, ctlog);
  const tlog = await mock.initializeTLog(url, keys.rekor);
  const tsa = await mock.initializeTSA(keys.tsa);
  const v2 = rekorV2('127.0.0.1');
  const fulcio = mock.fulcioHandler(ca);
  const routes = {
    [fulcio.path]: async (body, headers) => {
      const issued = await fulcio.fn(withToken(body, headers));
      return { ...issued, statusCode: issued.statusCode === 201 ? 200 : issued.statusCode }; // as the real one
    },
    '/api/v1/log/entries': async (body) => {
      const entries = await tlog.log(canonicalEntry(JSON.parse(body)));
      return { ...json(201, entries), headers: { ETag: Object.keys(entries)[0] } }; // cosign looks the entry up by it
    },
    '/api/v2/log/entries': async (body) => json(201, v2.add(JSON.parse(body))),
    '/api/v1/timestamp': derTimestamps(tsa),
  };

  const log = (baseUrl, publicKey, keyDetails, keyId) => ({
    baseUrl,
    hashAlgorithm: 'SHA2_256',
    publicKey: { rawBytes: publicKey.toString('base64'), keyDetails, validFor: { start: START } },
    logId: { keyId: keyId.toString('base64') },
  });
  const authority = (uri, commonName, certificates) => ({
    subject: { organization: 'sigstore.mock', commonName },
    uri,
    certChain: { certificates: certificates.map((der) => ({ rawBytes: der.toString('base64') })) },
    validFor: { start: START },
  });
  const p256 = 'PKIX_ECDSA_P256_SHA_256';
  const root = {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [log(url, spki(keys.rekor), p256, sha256(spki(keys.rekor))), log(url, v2.publicKey, 'PKIX_ED25519', v2.keyId)],
    certificateAuthorities: [authority(url, 'sigstore', [ca.rootCertificate])],
    ctlogs: [log(url, spki(keys.ct), p256, sha256(spki(keys.ct)))],
    timestampAuthorities: [authority(url, 'tsa', [tsa.intCertificate, tsa.rootCertificate])],
  };
  mkdirSync(out, { recursive: true });
  const write = (name, text) => writeFileSync(path.join(out, name), text);
  write('trusted_root.json', JSON.stringify(root, null, 1));
  write('fulcio.pem', pem(ca.rootCertificate, 'CERTIFICATE'));
  write('ctfe.pub', pem(spki(keys.ct), 'PUBLIC KEY'));
  write('rekor.pub', pem(spki(keys.rekor), 'PUBLIC KEY'));
  write('tsa.pem', pem(tsa.intCertificate, 'CERTIFICATE') + pem(tsa.rootCertificate, 'CERTIFICATE'));

  server.on('request', (request, reply) => {
    const parts = [];
    let size = 0;
    request.on('data', (part) => ((size += part.length) > BODY_LIMIT ? request.destroy() : parts.push(part)));
    request.on('end', async () => {
      const route = request.method === 'POST' ? routes[new URL(request.url, url).pathname] : undefined;
      let answer = { statusCode: 404, response: 'no such thing here' };
      try {
        if (route) answer = await route(Buffer.concat(parts), request.headers);
      } catch (error) {
        answer = { statusCode: 400, response: String(error.stack) };
      }
      process.stderr.write(`${request.method} ${request.url} ${answer.statusCode}${answer.statusCode < 300 ? '' : ` ${answer.response}`}\n`);
      reply.writeHead(answer.statusCode, { 'Content-Type': answer.contentType ?? 'text/plain', ...answer.headers });
      reply.end(answer.response);
    });
  });
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
  process.stdout.write(`${url}\n`);
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
