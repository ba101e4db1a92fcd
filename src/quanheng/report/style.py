"""The look and the two switches of the report page. Everything stands in the page itself."""

CSS = """
:root{--bg:#f6f7f9;--card:#fff;--ink:#16202c;--soft:#5b6878;--line:#dfe4ea;--accent:#2456a6;
--o0:#2f9e8f;--o1:#e0a526;--o2:#c8445a;--o3:#7a5ea8;--o4:#4d7fb8;--o5:#8a8f98;--stay:#6c7d93;--milder:#2f9e8f;--severer:#c8445a}
:root[data-theme=dark]{--bg:#11161d;--card:#1a212b;--ink:#e8edf3;--soft:#9aa7b6;--line:#2e3845;--accent:#8ab4f8;
--o0:#46b5a6;--o1:#e6b547;--o2:#e0647a;--o3:#a389d1;--o4:#74a3da;--o5:#9aa0aa;--stay:#8496ad;--milder:#46b5a6;--severer:#e0647a}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){--bg:#11161d;--card:#1a212b;--ink:#e8edf3;
--soft:#9aa7b6;--line:#2e3845;--accent:#8ab4f8;--o0:#46b5a6;--o1:#e6b547;--o2:#e0647a;--o3:#a389d1;--o4:#74a3da;--o5:#9aa0aa;--stay:#8496ad;
--milder:#46b5a6;--severer:#e0647a}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI","Noto Sans",
"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
[data-lang=en] .zh,[data-lang=zh] .en{display:none}
main{max-width:1120px;margin:0 auto;padding:20px 16px 60px}
header{display:flex;flex-wrap:wrap;gap:8px 24px;align-items:flex-start;justify-content:space-between;margin-bottom:14px}
h1{font-size:24px;line-height:1.25;margin:0}
h2{font-size:17px;margin:0 0 4px}
p{margin:4px 0 10px}
.soft,.small{color:var(--soft)}
.small{font-size:13px}
.switch{display:flex;gap:6px}
button{font:inherit;font-size:13px;padding:5px 12px;border:1px solid var(--line);border-radius:16px;
background:var(--card);color:var(--ink);cursor:pointer}
button:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
.sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));gap:12px;margin-bottom:12px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-bottom:12px}
section,.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px 18px;min-width:0}
section{margin-bottom:12px}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:12px;align-items:start}
.big{font-size:21px;white-space:nowrap;font-weight:650;line-height:1.2;font-variant-numeric:tabular-nums}
.name{font-weight:650;overflow-wrap:anywhere}
.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12.5px;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:0 -4px;padding:0 4px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{padding:7px 10px;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{color:var(--soft);font-weight:600;font-size:13px;white-space:nowrap}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tr:last-child td{border-bottom:0}
td.nb{white-space:nowrap}.mono.nb{overflow-wrap:normal}
td.why{min-width:260px}
.chip{display:inline-block;padding:1px 9px;border-radius:10px;font-size:13px;font-weight:600;color:#fff;
white-space:nowrap}
.c0{background:#1f7f72}.c1{background:#8f6410}.c2{background:#b0334a}.c3{background:#6b4fa0}.c4{background:#3a6aa3}.c5{background:#6b7079}
.plus,.minus{font-weight:700;margin-right:4px}.plus{color:var(--severer)}.minus{color:var(--milder)}
ul{margin:0;padding:0;list-style:none}li{margin:0 0 4px}
svg{display:block;width:100%;height:auto;max-width:620px}
svg text{fill:var(--ink);font-size:13px}
svg .axis{font-size:13px}svg .bold{font-weight:650}svg .small{fill:var(--soft);font-size:12px}
svg .figure{font-size:18px;font-weight:650}svg .strong{fill:#fff}
:root[data-theme=dark] svg .strong{fill:#fff}
svg .rule{stroke:var(--line)}svg .ghost{fill:transparent}svg .ghost:hover{fill:var(--line);fill-opacity:.5}
svg .line{fill:none;stroke:var(--ink);stroke-width:1.6;stroke-dasharray:4 3}
svg .area{fill-opacity:.55}
.o0{fill:var(--o0);background:var(--o0)}.o1{fill:var(--o1);background:var(--o1)}.o2{fill:var(--o2);background:var(--o2)}
.o3{fill:var(--o3);background:var(--o3)}.o4{fill:var(--o4);background:var(--o4)}.o5{fill:var(--o5);background:var(--o5)}
.cell.stay{fill:var(--stay)}.milder{fill:var(--milder)}.severer{fill:var(--severer)}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;color:var(--soft);margin:4px 0 10px}
.legend i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:6px;vertical-align:-1px}
.legend .dash{height:0;width:18px;border-top:2px dashed var(--ink);border-radius:0;vertical-align:4px}
details summary{cursor:pointer;color:var(--accent);font-size:14px;margin-top:6px}
.bar{display:inline-block;height:8px;border-radius:4px;background:var(--accent);vertical-align:1px;margin-left:8px;opacity:.75}
@media (max-width:560px){main{padding:14px 10px 40px}section,.card{padding:13px 12px;border-radius:10px}
h1{font-size:20px}
.big{font-size:19px}svg text,svg .axis{font-size:17px}svg .small{font-size:15px}svg .figure{font-size:21px}
th,td{padding:6px 7px}.cards{grid-template-columns:1fr 1fr}}
@media (max-width:560px){.stack table,.stack tbody,.stack tr,.stack td{display:block;border:0}.stack thead{display:none}
.stack tr{border-bottom:1px solid var(--line);padding:6px 0}.stack td{padding:2px 4px}.stack td.n{text-align:left}}
@media print{.switch{display:none}body{background:#fff}section,.card{break-inside:avoid}}
"""

SCRIPT = """
(function(){var root=document.documentElement;
function set(key,value){root.setAttribute(key,value);if(key==='data-lang')root.lang=value==='zh'?'zh-CN':'en'}
if(!root.hasAttribute('data-fixed')&&/^zh/i.test(navigator.language||''))set('data-lang','zh');
if(/[?#&-]zh/.test(location.href))set('data-lang','zh');
if(/[?#&-]dark/.test(location.href))set('data-theme','dark');
document.getElementById('lang').onclick=function(){set('data-lang',root.getAttribute('data-lang')==='zh'?'en':'zh')};
document.getElementById('theme').onclick=function(){var dark=root.getAttribute('data-theme')==='dark'||
(!root.getAttribute('data-theme')&&matchMedia('(prefers-color-scheme:dark)').matches);set('data-theme',dark?'light':'dark')};
})();
"""
