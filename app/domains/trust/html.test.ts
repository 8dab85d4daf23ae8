import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { html } from './html.ts';
import type { Html } from './html.ts';

describe('markup cannot be smuggled in as data', () => {
  it('no text gives a tag, closes an attribute or starts an entity', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const inner = html`<p title="${text}">${text}</p>`.markup;
        expect(inner.match(/[<>]/g)).toHaveLength(4);
        expect(inner.match(/"/g)).toHaveLength(2);
        expect(inner.replaceAll(/&(?:amp|lt|gt|quot|#39);/g, '')).not.toContain('&');
      }),
    );
  });

  it('an object with the shape of markup is refused', () => {
    expect(() => html`<p>${JSON.parse('{"markup":"<script>"}') as Html}</p>`).toThrow(/posed/);
  });

  it('a value without quotes and a script link are refused', () => {
    expect(() => html`<p class=${'a onclick=b'}>x</p>`).toThrow(/quotes/);
    for (const link of ['javascript:alert(1)', '//evil.example', 'data:text/html,x', ' javascript:x']) {
      expect(() => html`<a href="${link}">x</a>`, link).toThrow(/scheme/);
    }
    expect(html`<a href="${'/security'}">x</a>`.markup).toBe('<a href="/security">x</a>');
  });

  it('lists are joined and nothing stays nothing', () => {
    const items = ['a', '<b>'].map((one) => html`<li>${one}</li>`);
    expect(
      html`<ul>
        ${items}${undefined}${false}
      </ul>`.markup,
    ).toMatch(/^<ul>\s*<li>a<\/li><li>&lt;b&gt;<\/li>\s*<\/ul>$/);
  });
});
