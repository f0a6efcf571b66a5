"""Signs in at the reference authorization server by its plain forms: python signin.py URL USER PASSWORD.

It follows the redirects to the client's callback, like a browser in which somebody approves."""
import html
import http.cookiejar
import re
import sys
import urllib.parse
import urllib.request

address, user, password = sys.argv[1:]
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
page = opener.open(address, timeout=10)
for _ in range(3):
    text = page.read().decode()
    form = re.search(r'<form method="post" action="([^"]*)">(.*?)</form>', text, re.S)
    if not form:
        break
    fields = [(html.unescape(n), html.unescape(v)) for n, v in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form[2])]
    fields += [("scope", html.unescape(v)) for v in re.findall(r'name="scope" value="([^"]*)"', form[2])]
    if 'name="password"' in form[2]:
        fields += [("username", user), ("password", password)]
    else:
        fields += [("decision", "approve")]
    target = urllib.parse.urljoin(page.url, html.unescape(form[1]))
    page = opener.open(urllib.request.Request(target, urllib.parse.urlencode(fields).encode(), {"Origin": "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(page.url))}), timeout=10)
print(page.url.split("?")[0], page.status)
