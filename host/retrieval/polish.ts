import { words } from './words.ts';

/**
 * Polish words by their beginnings, which endings do not change, and what tools call it in English: enough to find a
 * tool by where no model is that knows Polish.
 */
const TABLE = `
usu skasu kasuj wyrzuc wymaz: delete remove
dodaj dodac dodaw dopis: add append
dolacz zalacz podepnij podlacz: upload attach
doklej dopis: append comment
utworz tworz stworz zaloz nowy nowa nowe nowego: create new
zmien zmian popraw edytu zaktual aktual: change update edit
zmienil zmienila zmieniono: changes diff
nazw: name rename
przenies przesun: move
skopiuj kopi: copy
pokaz wyswietl zobacz obejrz: show get
przeczyt czyta odczyt: read
lista liste listy wypisz wylicz jakie ktore: list
znajdz szukaj wyszukaj gdzie: find search where
otworz wejdz przejdz odwiedz: open go navigate
zamknij zamkn: close
wyslij przeslij: send
napisz pisa wpis: write post
napisal napisala pisal: wrote author
odpowiedz odpisz: reply answer
zapamieta pamieta: remember memory
zapomn: forget memory
zapisz zapis: save write
policz ile ilu liczb: how many count
sprawdz czy poprawn: check validate status
uruchom odpal wlacz: run start
zatrzymaj wylacz przerwij: stop cancel
poczekaj czekaj: wait
zatwierdz zaakceptuj: approve
scal polacz: merge
blokuj konflikt: conflict blocking
kto kogo komu: who user member
dostep uprawn: access member permission
zabron zakaz chron: forbid protect
wypych: push
galaz galezi branc: branch
zgloszen zglos: issue report
blad bled: bug issue error
zadan: task todo issue
przypisan: assigned
komentarz uwag: comment note
projekt repozyt: project repository
zmiany: changes
wiersz lini: line
plik: file
folder katalog: folder directory
pobrane pobran sciagn: downloads download
rozmiar wielkosc waz duz najwieks: size
miejsce: size storage place
dysk: disk file
stron: page
zrzut: screenshot
obraz zdjec: picture image
przycisk klikn: click button
formularz wypeln pole: fill form
wybierz: select choose
wpisz: type
wolno szybk ladu: slow performance load
film nagra: video recording
baz: database mongodb
kolekcj: collection
dokument rekord: document
klient zamowien sesj: documents
uzytkown osob ludz: user people
wiadomosc: message
kanal: channel
zespol: team channel
test: tests checks status
wdroz: deployment
notat: note page
tabel: table database
droga trasa jedzie dojazd dojech jechac: drive directions distance
odleglosc daleko: distance
adres ulic: address
wysoko: elevation
pobliz blisko okolic: nearby places local
restaurac pizzer sklep kawiarn: restaurant local places
wiadomosci pogod swiat internet: news web search
tydzien tygodn miesiac wczoraj ostatni: week month history
wszystk: all
znalez poszuk odszuk wyszuk: find search
przejrz sprawdz: check get review
podaj powiedz opowiedz: tell get
udostepn opublik: publish share
powiadom przekaz: message send
przywroc cofnij wroc wstecz poprzed: back undo history
odswiez przeladuj: reload
przewin najedz mysz kursor: hover mouse
przeciag upusc: drag drop
porown rozni roznic: compare diff
usuniet: deleted
zlicz srednia suma: count aggregate
indeks: index
etykiet: label
reakcj emoji serc serduszk kciuk: reaction emoji
watk watek dyskusj rozmow: thread discussion
odpowiedz: reply
recenzj przeglad: review
przegladar: browser window
okn okien: window page
kart zakladk: tab page
konsol: console
sieci siec zadania: network request
ciemn tryb motyw: color scheme
telefon komork: emulate mobile resize
klawisz klawiatur: key press
lokaliz wspolrzedn polozeni: geocode coordinates
szerokosc dlugosc: latitude longitude
akapit blok: block children
komentarze komentarzy: comments
wlasciw atrybut kolumn: property schema
strukt schemat drzewo: schema tree
profil: profile user
czlonk: members user
grup: group
organizac firm: organization
wersj: version
histori: history
autor: author
szkic robocz: draft
powiaz: link relation
mieszka pracuje lubi zna: entity relation observation
fakt wiesz wiem wiadomo: memory search
sprint iteracj: iteration
ustawien konfig: settings configuration
uzytkow: user
tekst tresc zawart: text content
data kiedy: date time info
trasy drog: directions route
autem samochod pociag rower: directions
aptek lekarz dentyst hotel muzeum kino fryzjer: local places
otwarte czynne: local place details
`;

const table = new Map<string, string>();
for (const line of TABLE.trim().split('\n')) {
  const [beginnings = '', english = ''] = line.split(': ');
  for (const one of beginnings.split(' ')) table.set(one, `${table.get(one) ?? ''} ${english}`.trim());
}

/** What is understood of a Polish text: for each word that is known, what it may be in English. */
export function gloss(text: string): string[][] {
  return words(text).flatMap((word) => {
    for (let end = word.length; end >= 3; end--) {
      const english = table.get(word.slice(0, end));
      if (english !== undefined) return [english.split(' ')];
    }
    return [];
  });
}
