import { words } from './words.ts';

/**
 * Polish words by their beginnings, which endings do not change, and what tools call it in English: enough to find a
 * tool by where no model is that knows Polish.
 */
const TABLE = `
usu skasu kasuj wyrzuc wymaz: delete remove
dodaj dodac dodaw dopis dolacz zalacz: add append
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
rozmiar wielkosc miejsce: size
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
`;

const table = new Map<string, string>();
for (const line of TABLE.trim().split('\n')) {
  const [beginnings = '', english = ''] = line.split(': ');
  for (const one of beginnings.split(' ')) table.set(one, english);
}

/** What is understood of a Polish text, in English words; undefined where nothing is. */
export function gloss(text: string): string | undefined {
  const found = words(text).flatMap((word) => {
    for (let end = word.length; end >= 3; end--) {
      const english = table.get(word.slice(0, end));
      if (english !== undefined) return english;
    }
    return [];
  });
  return found.length > 0 ? found.join(' ') : undefined;
}
