(() => {
  const find = document.querySelector('.find');
  if (!find) return;
  find.hidden = false;
  const text = find.querySelector('input');
  const groups = [...document.querySelectorAll('details.group')];
  const results = [...document.querySelectorAll('details.result')].map((e) => [e, e.textContent.toLowerCase()]);
  const shown = document.querySelector('#shown');
  const picks = ['level', 'area'].map((name) => {
    const select = document.getElementById(name);
    for (const v of [...new Set(results.map(([e]) => e.dataset[name]))].sort()) select.add(new Option(v, v));
    return [name, select];
  });
  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const [e, content] of results) {
      e.hidden = !(words.every((w) => content.includes(w)) && picks.every(([name, s]) => !s.value || e.dataset[name] === s.value));
      if (!e.hidden) n++;
    }
    for (const g of groups) {
      const any = [...g.querySelectorAll('details.result')].some((e) => !e.hidden);
      g.hidden = !any;
      if (words.length && any) g.open = true;
    }
    shown.textContent = words.length || picks.some(([, s]) => s.value) ? n + ' shown' : '';
  };
  text.addEventListener('input', filter);
  for (const [, s] of picks) s.addEventListener('change', filter);
  const open = () => {
    const e = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!e) return;
    for (let d = e; d; d = d.parentElement) if (d.tagName === 'DETAILS') d.open = true;
    e.scrollIntoView();
  };
  addEventListener('hashchange', open);
  open();
})();
