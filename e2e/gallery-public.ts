const claim = ([grade, word, sentence, time, note = '']: readonly [
  grade: string,
  word: string,
  sentence: string,
  time: string,
  note?: string,
]) =>
  `<li class="claim"><span class="grade grade--${grade}">${word}</span><div class="claim__text"><p>${sentence}</p>${note && `<p class="claim__note">${note}</p>`}</div><time class="claim__time" datetime="2026-11-22T${time}Z">${time} UTC</time><a class="claim__link" href="/security">Prove it<span class="vh">: ${sentence}</span></a></li>`;

const counts = [
  ['48', 'proven'],
  ['9', 'measured'],
  ['6', 'rehearsed'],
  ['3', 'attested'],
  ['7', 'asserted'],
  ['1', 'stale'],
  ['0', 'failing'],
] as const;
const ticks = Array.from(
  { length: 72 },
  (_, index) =>
    `<li class="tick tick--${index === 50 ? 'failing' : index > 20 && index < 24 ? 'gap' : index === 51 ? 'stale' : 'ok'}"><span class="vh">run ${index}</span></li>`,
).join('');

/** A public page as `public.css` expects its markup, to look at the stylesheet alone. */
export const samplePublicPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Security</title><link rel="stylesheet" href="/app/public.css"></head>
<body class="public"><a class="skip" href="#main">Skip to content</a>
<header class="site-head"><div class="site-head__in"><a class="brand" href="/security">Auditrax <span class="brand__org">sample organisation</span></a><nav class="site-nav" aria-label="Site"><a aria-current="page" href="/security">Security</a><a href="/sub-processors">Sub-processors</a><a href="/disclosure">Report a vulnerability</a></nav></div></header>
<main id="main" class="page"><h1>Security, and how you can check it</h1><p class="lead">Each sentence below is bound to the code that enforces it and to a probe that keeps trying to break it.</p>
<ul class="counts">${counts.map(([count, grade]) => `<li class="count${count === '0' ? ' count--zero' : ''}"><b>${count}</b> <span class="grade grade--${grade}">${grade}</span></li>`).join('')}</ul>
<p class="meta"><span>Revision <code>4f2c91d0</code></span><span>2026-11-22 19:31:07 UTC, valid until 19:46:07 UTC</span><span>0 independent witnesses</span></p>
<ul class="formats"><li><a href="/security.json">JSON</a></li><li><a href="/security/oscal.json">OSCAL</a></li><li><a href="/security/atom.xml">Atom</a></li></ul>
<div class="with-toc"><nav class="toc" aria-label="Sections"><ol><li><a href="#encryption">Encryption</a></li><li><a href="#access">Access</a></li></ol></nav><div>
<section class="claims" id="encryption"><h2>Encryption</h2><ul class="claim-list">
${claim(['proven', 'proven', 'Only TLS 1.3 is spoken on every wire, inside and out.', '19:29:40', 'Exception: a loopback-only listener for trying out, checked to be no wider.'])}
${claim(['measured', '41 days', 'Data keys are replaced within 90 days.', '19:25:02'])}
${claim(['asserted', 'asserted', 'Key-encryption keys live in a certified HSM. Here: a local key ring, for trying out.', '19:25:02'])}
</ul></section>
<section class="claims" id="access"><h2>Access</h2><ul class="claim-list">
${claim(['rehearsed', 'rehearsed', 'Single sign-on by six identity providers.', '19:20:11', 'Seen against fixtures, not against the providers.'])}
${claim(['attested', 'attested', 'A certificate under ISO/IEC 27001.', '19:20:11'])}
${claim(['stale', 'stale', 'Passkeys sign in without a password.', '18:02:00'])}
${claim(['failing', 'failing', 'Sensitive actions ask for a fresh assertion.', '19:27:30'])}
</ul></section></div></div>
<section class="block"><h2>The last runs</h2><div class="runs"><ol class="ticks" aria-label="Last 72 runs">${ticks}</ol><p class="ticks__ends"><span>18:19 UTC</span><span>19:31 UTC</span></p></div>
<dl class="facts"><div><dt>Enforced by</dt><dd><code>app/platform/edge/listener.ts</code></dd></div><div><dt>Freshness</dt><dd>15 minutes</dd></div></dl>
<pre class="code" tabindex="0"><code><span class="prompt">$ </span>npm run -s prove -- crypto.tls13-only --json</code></pre>
<div class="table-box" tabindex="0" role="region" aria-label="Runs"><table class="table"><caption>Newest first</caption><thead><tr><th scope="col">Observed</th><th scope="col">Result</th><th scope="col" class="right">Sockets</th></tr></thead><tbody><tr><th scope="row">19:29:40 UTC</th><td>TLS 1.2 refused</td><td class="right">9</td></tr><tr><th scope="row">19:14:40 UTC</th><td>TLS 1.2 refused</td><td class="right">9</td></tr></tbody></table></div></section></main>
<footer class="site-foot"><div class="site-foot__in"><p>Static and signed: readable when the rest is down.</p><p><a href="/security.txt">security.txt</a></p></div></footer></body></html>`;
