(() => {
  const find = document.querySelector('.find');
  const all = (s, e = document) => [...e.querySelectorAll(s)];
  for (const button of all('button.copy')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      const text = button.previousElementSibling.textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(button.previousElementSibling);
        button.textContent = 'Selected';
      }
      setTimeout(() => { button.textContent = 'Copy'; }, 1500);
    });
  }
  const reveal = () => {
    const e = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!e) return;
    for (let d = e; d; d = d.parentElement) if (d.tagName === 'DETAILS') d.open = true;
    e.scrollIntoView();
  };
  addEventListener('hashchange', reveal);
  let closed = [];
  addEventListener('beforeprint', () => { closed = all('details:not([open])'); for (const d of closed) d.open = true; });
  addEventListener('afterprint', () => { for (const d of closed) d.open = false; });
  if (find) {
    const tools = find.querySelector('.tools');
    tools.hidden = false;
    const text = find.querySelector('input');
    const chips = all('.chip[data-filter]', find);
    const results = all('.result').map((e) => [e, e.textContent.toLowerCase()]);
    const groups = all('details.cause, details.group, main > section').filter((g) => g.querySelector('.result')).reverse();
    const shown = document.querySelector('#shown');
    const picks = ['level', 'area'].map((name) => {
      const select = document.getElementById(name);
      for (const v of [...new Set(results.map(([e]) => e.dataset[name]))].sort()) select.add(new Option(v, v));
      return [name, select];
    });
    const filter = () => {
      const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
      const verdicts = chips.filter((c) => c.getAttribute('aria-pressed') === 'true').map((c) => c.dataset.filter);
      const filtered = words.length || verdicts.length || picks.some(([, s]) => s.value);
      let n = 0;
      for (const [e, content] of results) {
        e.hidden = !(words.every((w) => content.includes(w)) && (!verdicts.length || verdicts.includes(e.dataset.verdict)) && picks.every(([name, s]) => !s.value || e.dataset[name] === s.value));
        if (!e.hidden) n++;
      }
      for (const g of groups) {
        const left = all('.result', g).filter((e) => !e.hidden).length;
        g.hidden = !left;
        if (filtered && left && left <= 20 && g.tagName === 'DETAILS') g.open = true;
      }
      shown.textContent = filtered ? n + ' shown' : '';
    };
    for (const c of chips) {
      c.setAttribute('role', 'button');
      c.setAttribute('aria-pressed', 'false');
      c.addEventListener('click', (event) => {
        event.preventDefault();
        c.setAttribute('aria-pressed', c.getAttribute('aria-pressed') === 'true' ? 'false' : 'true');
        filter();
      });
    }
    text.addEventListener('input', filter);
    for (const [, s] of picks) s.addEventListener('change', filter);
    document.getElementById('sort').addEventListener('change', (event) => {
      const section = document.getElementById('findings');
      if (!section) return;
      const key = (e) => e.dataset[event.target.value];
      const rank = (a, b) => a.dataset.rank - b.dataset.rank;
      const cards = all('.result', section).sort((a, b) => (event.target.value === 'rank' ? 0 : key(a).localeCompare(key(b))) || rank(a, b));
      for (const c of cards) section.append(c);
    });
  }
  reveal();
})();
